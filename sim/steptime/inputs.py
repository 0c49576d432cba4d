"""What a step-time law is built from, and choices that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.llm.layout import Layout
from sim.llm.spec import ModelSpec
from sim.steptime.gemm import Gemm
from sim.steptime.hardware import Hardware
from sim.steptime.imbalance import Imbalance
from sim.steptime.kernel_draw import KernelDraw
from sim.steptime.kernels import Kernel, engine_kernel
from sim.steptime.layer_groups import LayerGroup
from sim.steptime.precision import Weights, weights_of

Phase = Literal["decode", "prefill"]
DeepEpMode = Literal["auto", "low_latency", "normal"]


@dataclass(frozen=True, slots=True)
class LawInputs:
    """Model, layout, hardware and formats of one replica.

    Attributes
    ----------
    engine, weights, kv_cache_dtype : names of the catalog.
    imbalance : routing law of the experts; that of the first layers where groups of layers have their own.
    queries : tokens that a step computes for every decoding sequence; above 1 where drafts are verified.
    drafting : whether it is a draft layer, which needs logits for one token per sequence only.
    layer_groups : layers with a law of their own; empty when all follow `imbalance`.
    deepep_mode : dispatch mode: `auto` (low latency for steps without prompt chunks), `low_latency` or `normal`.
    dispatch_limit_tokens : tokens per GPU that the buffers of low-latency mode hold.
    draw : how far the kernels are from their fits; None for the fits themselves.
    """

    spec: ModelSpec
    layout: Layout
    hardware: Hardware
    engine: str
    weights: str
    kv_cache_dtype: str
    imbalance: Imbalance
    queries: int = 1
    drafting: bool = False
    layer_groups: tuple[LayerGroup, ...] = ()
    deepep_mode: DeepEpMode = "auto"
    dispatch_limit_tokens: int = 0
    draw: KernelDraw | None = None

    def engine_kernel(self, purpose: str) -> Kernel:
        """The kernel family that the engine runs for a purpose, as far off its fit as the draw says."""
        found = engine_kernel(self.engine, purpose)
        return found if self.draw is None else self.draw.of(found)

    @property
    def logits(self) -> int:
        """Tokens of a decoding sequence that need logits."""
        return 1 if self.drafting else self.queries

    @property
    def linear(self) -> Weights:
        """Weights of attention, dense layers and shared experts."""
        return weights_of(self.hardware, self.weights, "linear")

    @property
    def routed(self) -> Weights:
        """Weights of routed experts."""
        return weights_of(self.hardware, self.weights, "routed_experts")

    @property
    def spreads_tokens(self) -> bool:
        """Whether tokens are dispatched to experts on other attention ranks (wide expert parallelism).

        Not where experts are sliced as well: DeepEP knows no slices, so engines gather and scatter there.
        """
        layout = self.layout
        whole = layout.enable_expert_parallel and layout.expert_tensor_parallel_size == 1
        return whole and layout.data_parallel_size > 1

    @property
    def groups(self) -> tuple[LayerGroup, ...]:
        """MoE layers by routing law."""
        return self.layer_groups or (LayerGroup(self.spec.num_moe_layers, self.imbalance),)

    def dispatch_phase(self, phase: Phase) -> Phase:
        """The phase whose kernels run the experts and the exchange: those of the dispatch mode, where one is set."""
        if not self.spreads_tokens or self.deepep_mode == "auto":
            return phase
        return "decode" if self.deepep_mode == "low_latency" else "prefill"

    @property
    def uses_latent_module(self) -> bool:
        """Whether attention is latent and fully described, so that the fitted modules apply."""
        return self.spec.attention == "mla" and not self.spec.attention_params_per_layer

    @property
    def dense_ranks(self) -> int:
        """Data ranks that divide dense layers and head: all of them under pure data-parallel attention, else none.

        The same rule as in the memory plan (`sim.llm.weights`).
        """
        return self.layout.data_parallel_size if self.layout.tensor_parallel_size == 1 else 1

    def gemm(self, rows: int, columns: int, weights: Weights) -> Gemm:
        """Products with one weight matrix, by the engine's kernel for its precision."""
        kernel = self.engine_kernel(f"gemm_{weights.kernels}")
        return Gemm(kernel, weights, rows, columns, self.hardware.hbm_bytes_per_s)
