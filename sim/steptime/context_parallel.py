"""Attention whose keys lie on several GPUs: what they exchange, beside what each computes on its share.

Decode context parallelism (vLLM pull requests 23734, 24864, 45426, 46145) in a tensor-parallel group, per layer:
- queries of all their heads are gathered by every GPU: tokens x heads x query width,
- partial results are combined by their log-sum-exp: each GPU's is gathered, and outputs are reduced and scattered,
- an indexer's best keys are chosen among those that each GPU proposes: tokens x top-k candidates from every GPU.
Sparse latent and grouped-query attention do so for prompt chunks too. Dense latent attention gathers the prefix that is
cached before a chunk instead, and expands it.

Prefill context parallelism (pull request 46570), p groups of tensor-parallel GPUs: what a chunk adds to the cache is
gathered by all groups, since each holds all of it.

Sizes of values are rows of the catalog; times are those of NCCL in a node, and the assumed form between nodes. No such
exchange was measured, nor any attention kernel on a divided cache, so all its lines are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from sim.steptime.attention import AttentionLaw, LinearCost, Prefills
from sim.steptime.collectives import GroupExchange
from sim.steptime.inputs import LawInputs
from sim.steptime.kernels import Kernel
from sim.steptime.operation import Operation

GATHER, COMBINE = "attention: gather of queries", "attention: combination of partial results"
CANDIDATES, KEYS = "indexer: gather of candidates", "attention: gather of keys"


@dataclass(frozen=True)
class SharedContext:
    """`inner` with the exchanges around it; satisfies `sim.steptime.attention.AttentionLaw`."""

    inner: AttentionLaw
    inputs: LawInputs

    @property
    def cap_tokens(self) -> int:
        """That of the attention itself."""
        return self.inner.cap_tokens

    def decode(self, seqs: int) -> tuple[LinearCost, ...]:
        """Operations of a pure decode step."""
        if self._shards == 1:
            return self.inner.decode(seqs)
        spec, k = self.inputs.spec, self.kernel
        queries_s, combine_s, candidates_s = self._exchange_s(seqs)
        lines = [
            LinearCost(name, spec.num_layers, k.name, k.status, base_s=seconds, launch_s=0.0, bound="network")
            for name, seconds in ((GATHER, queries_s), (COMBINE, combine_s))
        ]
        if spec.has_sparse_attention:
            owners = spec.num_indexer_layers
            lines.append(LinearCost(CANDIDATES, owners, k.name, k.status, 0.0, above_s=candidates_s, bound="network"))
        return (*(replace(line, status="assumed") for line in self.inner.decode(seqs)), *lines)

    def mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> tuple[float, ...]:
        """Seconds of the parts of `inner` and of every exchange."""
        parts = self.inner.mixed(seqs, context_tokens, capped_tokens, any_above, prefills)
        return (*parts, *(seconds for _, _, seconds in self._mixed_lines(seqs, any_above, prefills)))

    def explain_mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> list[Operation]:
        """The parts of `mixed` with their work."""
        k = self.kernel
        inner = self.inner.explain_mixed(seqs, context_tokens, capped_tokens, any_above, prefills)
        return [replace(line, status="assumed") for line in inner] + [
            Operation(name, count, 0.0, 0.0, 0.0, seconds, "network", k.name, k.status)
            for name, count, seconds in self._mixed_lines(seqs, any_above, prefills)
        ]

    @cached_property
    def kernel(self) -> Kernel:
        """Sizes of what is exchanged."""
        return self.inputs.engine_kernel("context_parallel")

    @property
    def _shards(self) -> int:
        return self.inputs.layout.decode_context_parallel_size

    def _mixed_lines(self, seqs: int, any_above: bool, prefills: Prefills) -> list[tuple[str, int, float]]:
        """(name, count, seconds) of the exchanges of a step with prompt chunks, which are those of one group."""
        spec = self.inputs.spec
        new = sum(tokens for tokens, _ in prefills)
        lines: list[tuple[str, int, float]] = []
        if self._shards > 1:
            dense_latent = spec.attention == "mla" and not spec.has_sparse_attention
            queries_s, combine_s, candidates_s = self._exchange_s(seqs if dense_latent else seqs + new)
            lines += [(GATHER, spec.num_layers, queries_s), (COMBINE, spec.num_layers, combine_s)]
            if spec.has_sparse_attention:
                selecting = any_above or any(tokens + cached > self.cap_tokens for tokens, cached in prefills)
                lines.append((CANDIDATES, spec.num_indexer_layers, candidates_s if selecting else 0.0))
            if dense_latent:
                prefix = sum(cached for _, cached in prefills) * spec.kv_latent_dim * self.kernel["key_bytes"]
                lines.append((KEYS, spec.num_layers, spec.num_layers * self._gather.seconds(prefix)))
        groups = self.inputs.layout.prefill_context_parallel_size
        if groups > 1:
            keys = groups * new * self.kernel["key_bytes"]
            seconds = spec.num_layers * self._group_gather.seconds(keys * spec.kv_latent_dim)
            seconds += spec.num_indexer_layers * self._group_gather.seconds(keys * spec.index_head_dim)
            lines.append((KEYS, spec.num_layers, seconds))
        return lines

    def _exchange_s(self, tokens: int) -> tuple[float, float, float]:
        """(queries, combination, candidates) in seconds over all layers, for tokens whose keys lie on several GPUs."""
        found = self._memo.get(tokens)
        if found is not None:
            return found
        spec, k, shards = self.inputs.spec, self.kernel, self._shards
        heads = spec.num_attention_heads * shards / self.inputs.layout.tensor_parallel_size
        latent = spec.attention == "mla"
        query_width = spec.kv_latent_dim if latent else spec.qk_head_dim
        output_width = spec.kv_lora_rank if latent else spec.v_head_dim
        queries_s = self._gather.seconds(tokens * heads * query_width * k["query_bytes"])
        combine_s = self._gather.seconds(tokens * heads * shards * k["log_sum_exp_bytes"])
        combine_s += self._scatter.seconds(tokens * heads * output_width * k["output_bytes"])
        candidates = tokens * self.cap_tokens * shards * k["candidate_bytes"] if spec.has_sparse_attention else 0.0
        candidates_s = self._gather.seconds(candidates)
        layers, owners = spec.num_layers, spec.num_indexer_layers
        found = self._memo[tokens] = layers * queries_s, layers * combine_s, owners * candidates_s
        return found

    @cached_property
    def _memo(self) -> dict[int, tuple[float, float, float]]:
        """Exchanges by tokens, of which a step has no more than the token budget."""
        return {}

    @cached_property
    def _gather(self) -> GroupExchange:
        return self._exchange("all_gather", self._shards, 1)

    @cached_property
    def _scatter(self) -> GroupExchange:
        return self._exchange("reduce_scatter", self._shards, 1)

    @cached_property
    def _group_gather(self) -> GroupExchange:
        layout = self.inputs.layout
        return self._exchange("all_gather", layout.prefill_context_parallel_size, layout.tensor_parallel_size)

    def _exchange(self, purpose: str, members: int, stride: int) -> GroupExchange:
        between = self.inputs.engine_kernel("inter_node")
        return GroupExchange(self.inputs.engine_kernel(purpose), between, self.inputs.hardware, members, stride)
