"""What a step-time law is built from, and choices that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

from sim.llm.layout import Layout
from sim.llm.spec import ModelSpec
from sim.steptime.gemm import Gemm
from sim.steptime.hardware import Hardware
from sim.steptime.imbalance import Imbalance
from sim.steptime.kernels import engine_kernel
from sim.steptime.precision import Weights, weights_of


@dataclass(frozen=True, slots=True)
class LawInputs:
    """Model, layout, hardware and formats of one replica.

    Attributes
    ----------
    engine, weights, kv_cache_dtype : names of the catalog.
    imbalance : routing law of the experts.
    queries : tokens that a step computes for every decoding sequence; above 1 where drafts are verified.
    drafting : whether it is a draft layer, which needs logits for one token per sequence only.
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
        """Whether tokens are dispatched to experts on other attention ranks (wide expert parallelism)."""
        return self.layout.enable_expert_parallel and self.layout.data_parallel_size > 1

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
        kernel = engine_kernel(self.engine, f"gemm_{weights.kernels}")
        return Gemm(kernel, weights, rows, columns, self.hardware.hbm_bytes_per_s)
