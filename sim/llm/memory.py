"""The memory plan of one replica: what lies on each GPU, and how many tokens of context are left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

from sim.errors import ScenarioError
from sim.llm.divisibility import layout_problems
from sim.llm.kvcache import IndexerPolicy, KvTokenBytes, kv_sequence_gpu_bytes, kv_token_gpu_bytes
from sim.llm.layout import Layout
from sim.llm.spec import ModelSpec
from sim.llm.weights import gpu_bytes


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Memory of one GPU, and the cache of the attention rank it belongs to.

    An attention rank is one data-parallel rank over its tensor x pipeline GPUs; all its GPUs hold a part (or, for a
    latent under tensor parallelism, a copy) of the cache of every request it serves.

    Attributes
    ----------
    model, layout, weights, kv_cache_dtype, indexer_policy, load_mtp : what was planned.
    gpu_memory_bytes : total that the framework sees on one GPU.
    gpu_memory_utilization : fraction of it that the engine may use.
    runtime_reserve_bytes : activations, graphs and communication buffers, taken from the engine's share.
    weight_component_bytes : weights on one GPU by component.
    kv_token_bytes : cache bytes per token on one GPU.
    kv_sequence_bytes : constant cache bytes per sequence on one GPU (windows, states).
    block_size : tokens per cache block; with decode context parallelism of the block over all its GPUs.
    max_context_tokens : what the model itself admits.
    """

    model: str
    layout: Layout
    weights: str
    kv_cache_dtype: str
    indexer_policy: IndexerPolicy
    load_mtp: bool
    gpu_memory_bytes: float
    gpu_memory_utilization: float
    runtime_reserve_bytes: float
    weight_component_bytes: Mapping[str, float]
    kv_token_bytes: KvTokenBytes
    kv_sequence_bytes: float
    block_size: int
    max_context_tokens: int

    @property
    def weight_bytes(self) -> float:
        """Weights on one GPU."""
        return sum(self.weight_component_bytes.values())

    @property
    def usable_bytes(self) -> float:
        """What the engine may use of one GPU."""
        return self.gpu_memory_utilization * self.gpu_memory_bytes

    @property
    def kv_pool_bytes(self) -> float:
        """Cache pool on one GPU, draft part included; 0 when the weights leave nothing."""
        return max(0.0, self._left_bytes)

    @property
    def draft_pool_bytes(self) -> float:
        """Part of the pool that the multi-token-prediction layers take."""
        total = self.kv_token_bytes.total_bytes
        return self.kv_pool_bytes * self.kv_token_bytes.draft_bytes / total if total else 0.0

    @property
    def shortfall_bytes(self) -> float:
        """Bytes per GPU that are missing for weights, reserve and one cache block of one sequence; 0 when it fits."""
        return max(0.0, self._block_bytes + self.kv_sequence_bytes - self._left_bytes)

    @property
    def fits(self) -> bool:
        """Whether weights, reserve and at least one cache block of one sequence fit."""
        return self.shortfall_bytes == 0

    @property
    def num_ranks(self) -> int:
        """Attention ranks, each with its own pool and queue."""
        return self.layout.data_parallel_size

    @property
    def kv_blocks_per_rank(self) -> int:
        """Whole cache blocks of one attention rank, before constant bytes of sequences."""
        return int(self.kv_pool_bytes // self._block_bytes)

    @property
    def kv_tokens_per_rank(self) -> int:
        """Tokens of context that one attention rank holds."""
        return self.kv_blocks_per_rank * self.block_size

    @property
    def kv_tokens(self) -> int:
        """Tokens of context that the replica holds."""
        return self.kv_tokens_per_rank * self.num_ranks

    @property
    def longest_request_tokens(self) -> int:
        """Longest request that the pool of one rank could hold alone, whatever the model admits."""
        blocks = int(max(0.0, self.kv_pool_bytes - self.kv_sequence_bytes) // self._block_bytes)
        return blocks * self.block_size

    @property
    def max_request_tokens(self) -> int:
        """Longest request that is admitted: bounded by the pool of one rank and by the model's context."""
        return min(self.longest_request_tokens, self.max_context_tokens)

    def concurrent_sequences(self, context_tokens: int) -> int:
        """Sequences of this context that the replica holds at once; 0 when one alone is too long.

        Each rank holds whole sequences in whole blocks.

        Raises
        ------
        ScenarioError : `context_tokens` is below 1.
        """
        if context_tokens < 1:
            raise ScenarioError("a sequence has at least one token", key="context_tokens", value=context_tokens)
        if context_tokens > self.max_request_tokens:
            return 0
        blocks = -(-context_tokens // self.block_size)
        return int(self.kv_pool_bytes // (blocks * self._block_bytes + self.kv_sequence_bytes)) * self.num_ranks

    @property
    def _left_bytes(self) -> float:
        return self.usable_bytes - self.weight_bytes - self.runtime_reserve_bytes

    @property
    def _block_bytes(self) -> float:
        return self.kv_token_bytes.total_bytes * self.block_size


def plan_memory(
    spec: ModelSpec,
    layout: Layout,
    *,
    weights: str,
    kv_cache_dtype: str,
    gpu_memory_bytes: float,
    gpu_memory_utilization: float,
    indexer_policy: IndexerPolicy = "owners",
    load_mtp: bool = False,
    runtime_reserve_bytes: float = 0.0,
    block_size: int = 64,
) -> MemoryPlan:
    """Plan the memory of one replica. What does not fit is a plan whose `fits` is False, not an error.

    Parameters
    ----------
    weights : weight format of `sim.llm.formats`.
    kv_cache_dtype, indexer_policy : as in `sim.llm.kvcache.kv_token_bytes`.
    gpu_memory_bytes : total that the framework sees (79.1 GiB on an H100 of 80 GB).
    load_mtp : load the multi-token-prediction layers and keep their draft pool.

    Raises
    ------
    ScenarioError : the layout breaks a divisibility rule, or a number is out of range.
    CatalogError : unknown weight format.

    Checked: GLM-5.2 in FP8 on 16 H100 as TP8 x PP2 at 0.85: 44.7 GiB of weights and 883 thousand FP8 tokens.
    """
    fraction = gpu_memory_utilization
    _check_range("gpu_memory_utilization", fraction, 0 < fraction <= 1, "above 0, at most 1")
    _check_range("gpu_memory_bytes", gpu_memory_bytes, 0 < gpu_memory_bytes < inf, "above 0, finite")
    _check_range("runtime_reserve_bytes", runtime_reserve_bytes, 0 <= runtime_reserve_bytes < inf, "at least 0, finite")
    _check_range("block_size", block_size, block_size >= 1, "at least 1")
    problems = layout_problems(spec, layout, weights=weights)
    if problems:
        raise ScenarioError(f"{layout} cannot serve {spec.name}: {'; '.join(problems)}", key="layout")
    return MemoryPlan(
        model=spec.name,
        layout=layout,
        weights=weights,
        kv_cache_dtype=kv_cache_dtype,
        indexer_policy=indexer_policy,
        load_mtp=load_mtp,
        gpu_memory_bytes=gpu_memory_bytes,
        gpu_memory_utilization=gpu_memory_utilization,
        runtime_reserve_bytes=runtime_reserve_bytes,
        weight_component_bytes=MappingProxyType(gpu_bytes(spec, layout, weights, load_mtp=load_mtp)),
        kv_token_bytes=kv_token_gpu_bytes(spec, layout, kv_cache_dtype, indexer_policy=indexer_policy, draft=load_mtp),
        kv_sequence_bytes=kv_sequence_gpu_bytes(spec, layout, kv_cache_dtype),
        block_size=block_size,
        max_context_tokens=spec.max_context_tokens,
    )


def _check_range(key: str, value: float, valid: bool, words: str) -> None:
    if not valid:
        raise ScenarioError("out of range", key=key, value=value, valid=words)
