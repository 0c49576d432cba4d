"""Sparse latent attention (DSA): an indexer chooses the keys; layers without one reuse the choice of another layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sim.llm.attention import AttentionGroup
from sim.llm.kvcache import index_entry_bytes
from sim.llm.spec import ModelSpec
from sim.steptime.attention import LinearCost, Prefills
from sim.steptime.kernels import Kernel
from sim.steptime.mla import projection_weights
from sim.steptime.operation import Bound, Operation
from sim.steptime.precision import Weights
from sim.units import MICROSECOND


@dataclass(frozen=True)
class SparseLatentAttention:
    """Sparse latent attention of all layers on one GPU, by physical shape.

    Decode per layer, b sequences:
        t0 + W / BW em + cs b^0.844 + ch b H + (sum of min(context, top-k)) kv / BW es
    and in layers that own an indexer also
        ti + ci b + Wi / BW ew + (sum of contexts) ki / BW ek + cm x mean context + selection once one reaches top-k.
    Every term is linear in the sums for a fixed b: exact, no approximation.

    With q queries per sequence (verified drafts) b counts queries, and every query reads the keys of its own choice.
    The indexer reads its keys once and scores them q times: its slope is the larger of the two. Not measured.

    Prefill per layer, N tokens: max(floor, t0 + c N + 2 N W / (peak ec) + pairs H' / (peak BF16 ea)), pairs over at
    most top-k keys and H' at least 64 heads; owners add ti + ci N + index pairs / (peak FP8 ei) under a floor of their
    own. While every context fits into top-k a dense path runs instead. The sparse kernel reads a cached prefix
    through the indexer only. Decoding sequences in the same step share the projections and add their cache reads; that
    composition is not measured.

    Where `context_shards` GPUs divide the cache by token, each selects and attends over its share of the keys for the
    heads of all of them: keys read and scanned divide, FLOPs per GPU stay, heads per kernel multiply. Assumed.

    Checked on H100, GLM-5.2 and GLM-5 in FP8: median error of decode 3.4 % (shared) and 2.1 % (owners), of prefill 2.3
    and 1.7 %.
    """

    spec: ModelSpec
    heads: float
    weights: Weights
    hbm_bytes_per_s: float
    peak_bf16: float
    index_peak: float
    cache_bytes: float
    decode_kernel: Kernel
    prefill_kernel: Kernel
    queries: int = 1
    context_shards: int = 1

    @property
    def cap_tokens(self) -> int:
        """Keys that the indexer selects."""
        return self.spec.index_topk_tokens

    def decode(self, seqs: int) -> tuple[LinearCost, ...]:
        """Attention of all layers, and the indexers of their owners."""
        k, layers, owners = self.decode_kernel, self.spec.num_layers, self.spec.num_indexer_layers
        bandwidth, seqs, queries = self.hbm_bytes_per_s, seqs * self.queries, self.queries
        launch_s = self._sequence_s(seqs) + k["t0_us"] * MICROSECOND
        attention = LinearCost(
            "attention (sparse MLA)",
            layers,
            k.name,
            k.status,
            base_s=layers * (launch_s + self._weight_bytes / (bandwidth * k["weight_efficiency"])),
            capped_s=layers * queries * self._selected_s,
            flops=layers * seqs * 2.0 * self._weights,
            capped_flops=layers * queries * self._pair_flops,
            bytes=layers * self._weight_bytes,
            capped_bytes=layers * queries * self.cache_bytes / self.context_shards,
            launch_s=layers * launch_s,
        )
        index_launch_s = (k["indexer_t0_us"] + k["indexer_us_per_sequence"] * seqs) * MICROSECOND
        index_weight_s = self._index_weight_bytes / (bandwidth * k["indexer_weight_efficiency"])
        indexer = LinearCost(
            "indexer",
            owners,
            k.name,
            k.status,
            base_s=owners * (index_launch_s + index_weight_s),
            context_s=owners * (self._scan_s + self._mean_context_us / 1000 * MICROSECOND * queries / seqs),
            above_s=owners * k["selection_us"] * MICROSECOND,
            flops=owners * seqs * 2.0 * self._index_weights,
            context_flops=owners * queries * self._index_pair_flops / self.context_shards,
            bytes=owners * self._index_weight_bytes,
            context_bytes=owners * index_entry_bytes(self.spec) / self.context_shards,
            launch_s=owners * index_launch_s,
        )
        return attention, indexer

    def mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> tuple[float, ...]:
        """(attention of all layers, what indexers add in their owners) in seconds."""
        del any_above
        sparse, new_tokens, pairs, indexed = self._prompt_work(prefills)
        seqs, capped_tokens = seqs * self.queries, capped_tokens * self.queries
        decode_s = capped_tokens * self._selected_s + (self._sequence_s(seqs) if seqs else 0.0)
        tokens = seqs + new_tokens
        scan_s = context_tokens * self._scan_s
        layers, owners = self.spec.num_layers, self.spec.num_indexer_layers
        floor_s, launch_s, token_s, weight_s, pair_s = self._sparse_terms if sparse else self._dense_terms
        raw_s = launch_s + token_s * new_tokens + weight_s * tokens + pair_s * pairs + decode_s
        shared_s = max(floor_s, raw_s)
        if not sparse:
            # Short contexts need no selection; index keys are written within the fitted time, old ones still scanned.
            return layers * shared_s, owners * scan_s
        index_floor_s, index_launch_s, index_token_s, index_pair_s = self._index_terms
        owner_s = raw_s + index_launch_s + index_token_s * new_tokens + index_pair_s * indexed + scan_s
        return layers * shared_s, owners * (max(index_floor_s, owner_s) - shared_s)

    def explain_mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> list[Operation]:
        """The parts of `mixed` with their work.

        Where the dense path runs, indexers were measured within the time of attention; their share of it is taken by
        the rates fitted to them elsewhere (`_dense_index_s`), so that neither line outruns the GPU. The sum is that of
        `mixed`.
        """
        attention_s, indexer_s = self.mixed(seqs, context_tokens, capped_tokens, any_above, prefills)
        k, layers, owners = self.prefill_kernel, self.spec.num_layers, self.spec.num_indexer_layers
        seqs, capped_tokens = seqs * self.queries, capped_tokens * self.queries
        sparse, new, pairs, _ = self._prompt_work(prefills)
        keys = sum(new + cached for new, cached in prefills)
        pair_flops = pairs * (self._pair_flops if sparse else self._dense_pair_flops) + capped_tokens * self._pair_flops
        flops = (seqs + new) * 2.0 * self._weights + pair_flops
        traffic = self._weight_bytes + (capped_tokens + min(pairs, keys)) * self.cache_bytes / self.context_shards
        floor_s, *_ = self._sparse_terms if sparse else self._dense_terms
        bound: Bound = "launch" if attention_s <= layers * floor_s else "compute"
        index_bound: Bound
        if sparse:
            indexed = sum(new * cached + new * (new + 1) // 2 for new, cached in prefills)
            index_flops = (seqs + new) * 2.0 * self._index_weights
            scored = (indexed + self.queries * context_tokens) / self.context_shards
            index_flops += scored * self._index_pair_flops
            scanned = (context_tokens + keys) / self.context_shards
            index_traffic = self._index_weight_bytes + scanned * index_entry_bytes(self.spec)
            whole_s = attention_s / layers + indexer_s / owners
            index_bound = "launch" if whole_s <= self._index_terms[0] * (1 + 1e-12) else "compute"
        else:
            index_flops, index_traffic = self._dense_index_work(seqs, new, context_tokens)
            index_bound = "memory"
            best_s = self._best_s(seqs + new, pair_flops, traffic)
            moved_s = max(0.0, min(owners * self._dense_index_s(seqs, new), attention_s - layers * best_s))
            attention_s, indexer_s = attention_s - moved_s, indexer_s + moved_s
        return [
            Operation(
                "attention (sparse MLA)",
                layers,
                layers * flops,
                layers * traffic,
                0.0,
                attention_s,
                bound,
                k.name,
                k.status,
            ),
            Operation(
                "indexer",
                owners,
                owners * index_flops,
                owners * index_traffic,
                0.0,
                indexer_s,
                index_bound,
                k.name,
                k.status,
            ),
        ]

    def _prompt_work(self, prefills: Prefills) -> tuple[bool, float, float, float]:
        """(whether the sparse path runs, new tokens, query-key pairs of attention, pairs that one indexer scores)."""
        cap, group = self.spec.index_topk_tokens, self._group
        new_tokens = pairs = indexed = 0.0
        sparse = False
        for new, cached in prefills:
            end = new + cached
            new_tokens += new
            indexed += new * (cached + 0.5 * new)
            if end > cap:
                sparse = True
                pairs += group.keys_sum(new, cached)
            else:
                pairs += new * cached + new * (new + 1) // 2
        return sparse, new_tokens, pairs, indexed

    def _dense_index_work(self, seqs: int, new_tokens: float, context_tokens: int) -> tuple[float, float]:
        """(FLOPs, bytes) of one indexer beside the dense path.

        Prompts only write their index keys, since no key is left out; decoding sequences project, and score old keys.
        """
        weights, weight_bytes = self._dense_index_weights(seqs)
        flops = seqs * 2.0 * weights + new_tokens * 2.0 * self._index_key_weights
        scanned = context_tokens / self.context_shards
        traffic = weight_bytes + (scanned + new_tokens) * index_entry_bytes(self.spec)
        return flops + self.queries * scanned * self._index_pair_flops, traffic

    def _dense_index_s(self, seqs: int, new_tokens: float) -> float:
        """Seconds of one indexer for that work, without the scan of old keys that `mixed` adds to attention.

        Weights at the rate of a decoding indexer, products at the rate of the module's projections.
        """
        weights, weight_bytes = self._dense_index_weights(seqs)
        products = seqs * 2.0 * weights + new_tokens * 2.0 * self._index_key_weights
        written = new_tokens * index_entry_bytes(self.spec)
        efficiency = self.decode_kernel["indexer_weight_efficiency"]
        memory_s = (weight_bytes + written) / (self.hbm_bytes_per_s * efficiency)
        return memory_s + products / (self.weights.peak * self.prefill_kernel["dense_weight_compute_efficiency"])

    def _dense_index_weights(self, seqs: int) -> tuple[float, float]:
        """(weights, their bytes) that one indexer reads: without decoding sequences the projection to keys alone."""
        if seqs:
            return self._index_weights, self._index_weight_bytes
        return self._index_key_weights, self._index_key_weights * self.weights.bytes_per_weight

    def _best_s(self, tokens: float, pair_flops: float, traffic: float) -> float:
        """Seconds of one layer's attention at the peaks of the GPU, which no share may undercut."""
        compute_s = tokens * 2.0 * self._weights / self.weights.peak + pair_flops / self.peak_bf16
        return max(compute_s, traffic / self.hbm_bytes_per_s)

    def _sequence_s(self, seqs: int) -> float:
        """Decode time of one layer that grows with sequences, not with their contexts."""
        sequence_us, power, head_us, heads = self._sequence_terms
        return float(sequence_us * seqs**power + head_us * seqs * heads / 64) * MICROSECOND

    @cached_property
    def _group(self) -> AttentionGroup:
        return AttentionGroup(self.spec.num_layers, self.spec.index_topk_tokens)

    @cached_property
    def _sequence_terms(self) -> tuple[float, float, float, float]:
        """(us per sequence to a power, the power, us per 64 sequence-heads, heads) of decoding."""
        k = self.decode_kernel
        heads = self.heads * self.context_shards
        return k["sequence_us"], k["sequence_power"], k["us_per_64_sequence_heads"], heads

    @cached_property
    def _selected_s(self) -> float:
        """Reading one selected key in one layer."""
        read = self.cache_bytes / self.context_shards
        return read / (self.hbm_bytes_per_s * self.decode_kernel["cache_efficiency"])

    @cached_property
    def _scan_s(self) -> float:
        """Scoring one cached key by one indexer while decoding, for all queries of a sequence.

        A single query is bound by reading, as fitted.
        """
        efficiency = self.decode_kernel["indexer_cache_efficiency"]
        read_s = index_entry_bytes(self.spec) / (self.hbm_bytes_per_s * efficiency)
        if self.queries > 1:
            compute = self.index_peak * self.prefill_kernel["indexer_compute_efficiency"]
            read_s = max(read_s, self.queries * self._index_pair_flops / compute)
        return read_s / self.context_shards

    @property
    def _mean_context_us(self) -> float:
        """Cost of a decoding indexer per thousand tokens of mean context."""
        return self.decode_kernel["indexer_us_per_1k_context"] / self.context_shards

    @cached_property
    def _sparse_terms(self) -> tuple[float, float, float, float, float]:
        """(floor, launch, per new token, per token of all, per pair) of the sparse prefill path."""
        k, spec = self.prefill_kernel, self.spec
        heads = max(self.heads * self.context_shards, k["min_heads"]) / self.context_shards
        pair_flops = 2.0 * heads * (spec.kv_latent_dim + spec.kv_lora_rank)
        return (
            k["floor_us"] * MICROSECOND,
            k["t0_us"] * MICROSECOND,
            k["us_per_token"] * MICROSECOND,
            2.0 * self._weights / (self.weights.peak * k["weight_compute_efficiency"]),
            pair_flops / (self.peak_bf16 * k["attention_compute_efficiency"]),
        )

    @cached_property
    def _dense_terms(self) -> tuple[float, float, float, float, float]:
        """The same of the dense path for short contexts."""
        k = self.prefill_kernel
        return (
            k["dense_floor_us"] * MICROSECOND,
            k["dense_t0_us"] * MICROSECOND,
            0.0,
            2.0 * self._weights / (self.weights.peak * k["dense_weight_compute_efficiency"]),
            self._dense_pair_flops / (self.peak_bf16 * k["dense_attention_compute_efficiency"]),
        )

    @cached_property
    def _index_terms(self) -> tuple[float, float, float, float]:
        """(floor, launch, per new token, per pair) of a prefilling indexer."""
        k = self.prefill_kernel
        return (
            k["indexer_floor_us"] * MICROSECOND,
            k["indexer_t0_us"] * MICROSECOND,
            k["indexer_us_per_token"] * MICROSECOND,
            self._index_pair_flops / self.context_shards / (self.index_peak * k["indexer_compute_efficiency"]),
        )

    @cached_property
    def _weights(self) -> float:
        return projection_weights(self.spec, self.heads)

    @property
    def _weight_bytes(self) -> float:
        return self._weights * self.weights.bytes_per_weight

    @property
    def _pair_flops(self) -> float:
        return 2.0 * self.heads * (self.spec.kv_latent_dim + self.spec.kv_lora_rank)

    @property
    def _dense_pair_flops(self) -> float:
        return 2.0 * self.heads * (self.spec.qk_head_dim + self.spec.v_head_dim)

    @property
    def _index_pair_flops(self) -> float:
        return 2.0 * self.spec.index_n_heads * self.spec.index_head_dim

    @property
    def _index_weights(self) -> float:
        spec = self.spec
        query = (spec.q_lora_rank or spec.hidden_size) * spec.index_n_heads * spec.index_head_dim
        return query + spec.hidden_size * (spec.index_head_dim + spec.index_n_heads)

    @property
    def _index_key_weights(self) -> float:
        return self.spec.hidden_size * self.spec.index_head_dim

    @property
    def _index_weight_bytes(self) -> float:
        # The per-head weights stay BF16 in every format.
        kept = self.spec.hidden_size * self.spec.index_n_heads
        return (self._index_weights - kept) * self.weights.bytes_per_weight + 2.0 * kept
