"""Core attention of any shape without a fitted module: grouped-query heads, windows, compressed or absorbed caches.

Projections are separate matrix products (`sim.steptime.gemm`); this is the kernel between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sim.llm.attention import (
    AttentionGroup,
    attention_groups,
    decode_pair_flops,
    indexer_flops_per_key,
    prefill_pair_flops,
)
from sim.llm.spec import ModelSpec
from sim.steptime.attention import LinearCost, Prefills
from sim.steptime.kernels import Kernel
from sim.steptime.operation import Bound, Operation
from sim.units import MICROSECOND


@dataclass(frozen=True)
class CoreAttention:
    """Attention kernels of all layers on one GPU.

    Decode per layer: t0 + keys x max(kv / BW es, FLOPs per pair / peak BF16 ec). Both terms of the max grow with the
    keys alone, so the larger slope holds for every context: exact, no approximation. Layers with a window (or an
    indexer) read at most that many keys.

    With q queries per sequence (verified drafts) keys are read once and scored q times.

    Prefill per layer: t0 + max(pairs x FLOPs / peak BF16 ea, keys x kv / BW es), and the indexer's scores where there
    is one. Assumed throughout: no table of grouped-query kernels was available.

    Attributes
    ----------
    head_frac : share of the query heads on this GPU.
    cache_bytes : bytes of one cached token in one layer on this GPU.
    index_bytes : bytes of one indexer key; 0 without an indexer.
    state_bytes : recurrent state of one sequence, all layers, on this GPU.
    """

    spec: ModelSpec
    head_frac: float
    hbm_bytes_per_s: float
    peak_bf16: float
    cache_bytes: float
    index_bytes: float
    state_bytes: float
    decode_kernel: Kernel
    prefill_kernel: Kernel
    queries: int = 1

    @property
    def cap_tokens(self) -> int:
        """Window or selected keys; 0 without either."""
        return max((group.cap_tokens for group in self._groups), default=0)

    def decode(self, seqs: int) -> tuple[LinearCost, ...]:
        """Attention of all layers; a second line for those with a cap."""
        k = self.decode_kernel
        lines = [self._line(group, full=not group.cap_tokens) for group in self._groups]
        if self.spec.recurrent_layers:
            launch_s = self.spec.recurrent_layers * k["t0_us"] * MICROSECOND
            traffic = 2.0 * seqs * self.state_bytes
            seconds = launch_s + traffic / (self.hbm_bytes_per_s * k["cache_efficiency"])
            count = self.spec.recurrent_layers
            lines.append(
                LinearCost(
                    "attention (recurrent state)",
                    count,
                    k.name,
                    k.status,
                    base_s=seconds,
                    bytes=traffic,
                    launch_s=launch_s,
                )
            )
        return tuple(lines)

    def mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> tuple[float, ...]:
        """(attention) in seconds."""
        del any_above
        seconds = self._prefill_launch_s
        context_s, capped_s = self._decode_slopes
        if seqs:
            seconds += context_s * context_tokens + capped_s * capped_tokens
        for new, cached in prefills:
            for group, pair_s, key_s in self._prefill_slopes:
                keys = self._keys_read(group, new, cached)
                if group.cap_tokens:
                    pairs = group.keys_sum(new, cached)
                else:
                    pairs = (new * cached + new * (new + 1) // 2) / group.stride_tokens
                compute_s, memory_s = pair_s * pairs, key_s * keys
                seconds += max(compute_s, memory_s)
            seconds += self._index_pair_s * (new * cached + new * (new + 1) // 2)
        if self.spec.recurrent_layers:
            seconds += self._state_s * (seqs + len(prefills))
        return (seconds,)

    def explain_mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> list[Operation]:
        """The part of `mixed` with its work."""
        (seconds,) = self.mixed(seqs, context_tokens, capped_tokens, any_above, prefills)
        decode = [line.explain(context_tokens, capped_tokens, any_above) for line in self.decode(max(1, seqs))]
        pairs = sum(group.layers * group.keys_sum(new, cached) for group in self._groups for new, cached in prefills)
        indexed = sum(new * cached + new * (new + 1) // 2 for new, cached in prefills)
        flops = sum(line.flops for line in decode) + pairs * prefill_pair_flops(self.spec) * self.head_frac
        flops += indexed * indexer_flops_per_key(self.spec)
        traffic = sum(line.bytes for line in decode)
        traffic += sum(
            group.layers * self._keys_read(group, new, cached) * self.cache_bytes / group.stride_tokens
            for group in self._groups
            for new, cached in prefills
        )
        k, layers = self.prefill_kernel, self.spec.num_layers
        bound: Bound = "launch" if self._prefill_launch_s > 0.5 * seconds else "compute"
        return [Operation("attention", layers, flops, traffic, 0.0, seconds, bound, k.name, k.status)]

    @staticmethod
    def _keys_read(group: AttentionGroup, new_tokens: int, cached_tokens: int) -> int:
        """Tokens whose keys a prompt chunk reads in one layer, before the stride of a compressed cache."""
        tokens = new_tokens + cached_tokens
        return min(tokens, new_tokens + group.cap_tokens) if group.cap_tokens else tokens

    def _line(self, group: AttentionGroup, *, full: bool) -> LinearCost:
        """One group of layers while decoding."""
        k, layers = self.decode_kernel, group.layers
        key_s, score_s = self._key_slopes(group)
        per_token_s = layers * max(key_s, score_s) / group.stride_tokens
        flops = self.queries * layers * decode_pair_flops(self.spec) * self.head_frac / group.stride_tokens
        traffic = layers * self.cache_bytes / group.stride_tokens
        launch_s = layers * k["t0_us"] * MICROSECOND
        owners = self.spec.num_indexer_layers if group is self._groups[0] else 0
        index_bytes = owners * self.index_bytes / self.spec.indexer_kv_stride_tokens
        index_flops = self.queries * indexer_flops_per_key(self.spec) if owners else 0.0
        index_s = index_bytes / (self.hbm_bytes_per_s * k["cache_efficiency"])
        if owners and self.queries > 1:
            index_s = max(index_s, self.queries * self._index_pair_s)
        return LinearCost(
            "attention" if full else "attention (capped)",
            layers,
            k.name,
            k.status,
            base_s=launch_s,
            context_s=index_s + (per_token_s if full else 0.0),
            capped_s=0.0 if full else per_token_s,
            context_flops=index_flops + (flops if full else 0.0),
            capped_flops=0.0 if full else flops,
            context_bytes=index_bytes + (traffic if full else 0.0),
            capped_bytes=0.0 if full else traffic,
            launch_s=launch_s,
            bound="memory" if key_s >= score_s else "compute",
        )

    def _key_slopes(self, group: AttentionGroup) -> tuple[float, float]:
        """Seconds per key and layer: reading it, and scoring all queries against it."""
        del group
        k = self.decode_kernel
        key_s = self.cache_bytes / (self.hbm_bytes_per_s * k["cache_efficiency"])
        flops = decode_pair_flops(self.spec) * self.head_frac
        return key_s, self.queries * flops / (self.peak_bf16 * k["score_compute_efficiency"])

    @cached_property
    def _groups(self) -> tuple[AttentionGroup, ...]:
        return attention_groups(self.spec)

    @cached_property
    def _decode_slopes(self) -> tuple[float, float]:
        """Seconds per token of context and of capped context, over all layers."""
        lines = [self._line(group, full=not group.cap_tokens) for group in self._groups]
        return sum(line.context_s for line in lines), sum(line.capped_s for line in lines)

    @cached_property
    def _prefill_slopes(self) -> tuple[tuple[AttentionGroup, float, float], ...]:
        """(group, seconds per query-key pair, seconds per key read), over the layers of each group."""
        efficiency = self.prefill_kernel["attention_compute_efficiency"]
        pair_s = prefill_pair_flops(self.spec) * self.head_frac / (self.peak_bf16 * efficiency)
        return tuple(
            (group, group.layers * pair_s, group.layers * self._key_slopes(group)[0] / group.stride_tokens)
            for group in self._groups
        )

    @cached_property
    def _prefill_launch_s(self) -> float:
        return self.spec.num_layers * self.prefill_kernel["t0_us"] * MICROSECOND

    @cached_property
    def _index_pair_s(self) -> float:
        efficiency = self.prefill_kernel["attention_compute_efficiency"]
        return indexer_flops_per_key(self.spec) / (self.peak_bf16 * efficiency)

    @cached_property
    def _state_s(self) -> float:
        return 2.0 * self.state_bytes / (self.hbm_bytes_per_s * self.decode_kernel["cache_efficiency"])
