"""Multi-head latent attention without an indexer: all projections and the kernel, as one module per layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sim.llm.attention import prefill_pair_flops
from sim.llm.spec import ModelSpec
from sim.steptime.attention import LinearCost, Prefills
from sim.steptime.gemm import Gemm
from sim.steptime.kernels import Kernel
from sim.steptime.operation import Bound, Operation
from sim.steptime.precision import Weights
from sim.units import MICROSECOND


@dataclass(frozen=True)
class LatentAttention:
    """Latent attention of all layers on one GPU.

    Decode, absorbed, per layer for b sequences with S tokens of context in all:

        t0 + max(W / BW em, 2 b W' / (0.55 peak)) + S max(kv / BW es, 2 H (2 r + d) / (peak BF16 ec)) + cb b + ch b H

    Both terms of the second max grow with S alone, so the larger slope holds for every context: exact.

    With q queries per sequence (verified drafts) the weights and the cache are read once, and everything else is done q
    times: b counts queries, and the second max is that of reading once and scoring q times. Not measured.

    Prefill, expanded, for N tokens: max(floor, t0 + max(2 N W' / (peak ec), W / BW em) + pairs / (peak BF16 ea) + c N).
    A cached prefix costs its query-key pairs. With decoding sequences in the same step the weights are read once for
    all tokens, and their cache reads are added; this composition is not measured.

    Where `context_shards` GPUs divide the cache by token, each decodes over its share of the keys for the heads of all
    of them: bytes read divide, FLOPs per GPU stay, heads per kernel multiply. Assumed.

    Checked: median error 3 to 6 % (decode) and 1.2 to 7.4 % (prefill) on held-out H100 modules.
    """

    spec: ModelSpec
    layers: int
    heads: float
    weights: Weights
    hbm_bytes_per_s: float
    peak_bf16: float
    cache_bytes: float
    decode_kernel: Kernel
    prefill_kernel: Kernel
    latent: Gemm
    queries: int = 1
    context_shards: int = 1

    @property
    def cap_tokens(self) -> int:
        """Dense attention has no cap."""
        return 0

    def decode(self, seqs: int) -> tuple[LinearCost, ...]:
        """Module of all layers, and the projection to the latents where the module was measured without it."""
        k, layers, seqs = self.decode_kernel, self.layers, seqs * self.queries
        weight_bytes, weight_flops, separate = self._weights(k)
        memory_s = weight_bytes / (self.hbm_bytes_per_s * k["weight_efficiency"])
        compute_s = seqs * weight_flops / (self.weights.peak * k["weight_compute_efficiency"])
        heads = self.heads * self.context_shards
        launch_s = k["t0_us"] + k["us_per_10_sequences"] * seqs / 10
        launch_s = (launch_s + k["us_per_640_sequence_heads"] * seqs * heads / 640) * MICROSECOND
        read_s, score_s = self._context_slopes
        module = LinearCost(
            "attention (MLA)",
            layers,
            k.name,
            k.status,
            base_s=layers * (launch_s + max(memory_s, compute_s)),
            context_s=layers * max(read_s, score_s),
            flops=layers * seqs * weight_flops,
            context_flops=layers * self.queries * self._pair_flops,
            bytes=layers * weight_bytes,
            context_bytes=layers * self.cache_bytes / self.context_shards,
            launch_s=layers * launch_s,
            bound="memory" if read_s >= score_s else "compute",
        )
        return (module, self._latent_line(seqs)) if separate else (module,)

    def mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> tuple[float, ...]:
        """(module, projection to the latents) in seconds."""
        del capped_tokens, any_above
        floor_s, launch_s, token_s, memory_s, compute_s, pair_s, separate = self._prefill_terms
        tokens = seqs * self.queries
        pairs = 0
        for new, cached in prefills:
            tokens += new
            pairs += new * cached + new * (new + 1) // 2
        seconds = launch_s + max(memory_s, tokens * compute_s) + pairs * pair_s + tokens * token_s
        seconds += context_tokens * max(self._context_slopes)
        module_s = self.layers * max(floor_s, seconds)
        return (module_s, self.layers * self.latent.cost(tokens).seconds) if separate else (module_s,)

    def explain_mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> list[Operation]:
        """The parts of `mixed` with their work."""
        parts = self.mixed(seqs, context_tokens, capped_tokens, any_above, prefills)
        k, layers = self.prefill_kernel, self.layers
        weight_bytes, weight_flops, _ = self._weights(k)
        tokens = seqs * self.queries + sum(new for new, _ in prefills)
        pairs = sum(new * cached + new * (new + 1) // 2 for new, cached in prefills)
        cached_tokens = context_tokens / self.context_shards + sum(new + cached for new, cached in prefills)
        flops = tokens * weight_flops + pairs * self._prefill_pair_flops
        flops += self.queries * context_tokens * self._pair_flops
        traffic = weight_bytes + cached_tokens * self.cache_bytes
        bound: Bound = "launch" if parts[0] <= layers * k["floor_us"] * MICROSECOND else "compute"
        lines = [
            Operation(
                "attention (MLA)", layers, layers * flops, layers * traffic, 0.0, parts[0], bound, k.name, k.status
            )
        ]
        if len(parts) > 1:
            lines.append(self._latent_line(tokens).explain(0, 0, any_above=False))
        return lines

    @cached_property
    def _context_slopes(self) -> tuple[float, float]:
        """Seconds per token of context and layer: reading the cache, and scoring all queries against it."""
        k = self.decode_kernel
        read_s = self.cache_bytes / self.context_shards / (self.hbm_bytes_per_s * k["cache_efficiency"])
        return read_s, self.queries * self._pair_flops / (self.peak_bf16 * k["score_compute_efficiency"])

    @cached_property
    def _prefill_terms(self) -> tuple[float, float, float, float, float, float, bool]:
        k = self.prefill_kernel
        weight_bytes, weight_flops, separate = self._weights(k)
        return (
            k["floor_us"] * MICROSECOND,
            k["t0_us"] * MICROSECOND,
            k["us_per_1k_tokens"] / 1000 * MICROSECOND,
            weight_bytes / (self.hbm_bytes_per_s * k["weight_efficiency"]),
            weight_flops / (self.weights.peak * k["weight_compute_efficiency"]),
            self._prefill_pair_flops / (self.peak_bf16 * k["attention_compute_efficiency"]),
            separate,
        )

    @property
    def _pair_flops(self) -> float:
        """One query against one key of the latent, for the heads of this GPU."""
        return 2.0 * self.heads * (self.spec.kv_latent_dim + self.spec.kv_lora_rank)

    @property
    def _prefill_pair_flops(self) -> float:
        return prefill_pair_flops(self.spec) * self.heads / self.spec.num_attention_heads

    def _weights(self, kernel: Kernel) -> tuple[float, float, bool]:
        """(bytes, FLOPs per token, whether the projection to the latents is apart) of one layer's module."""
        separate = not kernel["includes_latent_projection"]
        count = projection_weights(self.spec, self.heads)
        if separate:
            count -= self.latent.rows * self.latent.columns
        return count * self.weights.bytes_per_weight, 2.0 * count, separate

    def _latent_line(self, tokens: int) -> LinearCost:
        cost, k, layers = self.latent.cost(tokens), self.latent.kernel, self.layers
        return LinearCost(
            "attention: projection to latents",
            layers,
            k.name,
            k.status,
            base_s=layers * cost.seconds,
            flops=layers * cost.flops,
            bytes=layers * cost.bytes,
            launch_s=layers * k["t0_us"] * MICROSECOND,
            bound=cost.bound,
        )


def projection_weights(spec: ModelSpec, heads: float) -> float:
    """Weights of one layer's MLA projections on a GPU with `heads` heads.

    The projections to the latents are on every GPU. GLM-5.2 with all 64 heads: 165,019,648.
    """
    latents = spec.hidden_size * (spec.q_lora_rank + spec.kv_latent_dim)
    query = (spec.q_lora_rank or spec.hidden_size) * spec.qk_head_dim
    keys_values = spec.kv_lora_rank * (spec.qk_nope_head_dim + spec.v_head_dim)
    return latents + heads * (query + keys_values + spec.v_head_dim * spec.hidden_size)
