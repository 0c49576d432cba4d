"""The smallest deployment that holds a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sim.llm.divisibility import layout_problems, redundant_experts_needed
from sim.llm.kvcache import IndexerPolicy
from sim.llm.layout import Layout
from sim.llm.memory import MemoryPlan, plan_memory
from sim.llm.spec import ModelSpec


def smallest_fit(
    spec: ModelSpec,
    *,
    weights: str,
    kv_cache_dtype: str,
    gpu_memory_bytes: float,
    gpu_memory_utilization: float,
    context_tokens: int = 1,
    indexer_policy: IndexerPolicy = "owners",
    load_mtp: bool = False,
    runtime_reserve_bytes: float = 0.0,
    block_size: int = 64,
    gpus_per_node: int = 8,
    max_gpus: int = 256,
    candidates: Iterable[Layout] | None = None,
) -> tuple[Layout, MemoryPlan] | None:
    """The layout with the fewest GPUs whose plan fits and admits a request of `context_tokens`, with its plan.

    Among layouts with as many GPUs the earliest of `candidate_layouts` wins: tensor parallelism within a node first,
    pipeline stages across nodes, then data-parallel attention with expert parallelism.

    Parameters
    ----------
    candidates : layouts to try instead of `candidate_layouts`; those that cannot run are skipped.
    max_gpus : largest deployment to try.

    Returns
    -------
    None when no candidate fits.

    Checked: GLM-5.2 on H100 needs 24 GPUs in BF16 (TP8 x PP3) and 16 in FP8.
    """
    tried = candidate_layouts(spec, gpus_per_node=gpus_per_node, max_gpus=max_gpus)
    if candidates is not None:
        tried = iter(sorted(candidates, key=lambda layout: layout.num_gpus))
    for layout in tried:
        if layout_problems(spec, layout, weights=weights):
            continue
        plan = plan_memory(
            spec,
            layout,
            weights=weights,
            kv_cache_dtype=kv_cache_dtype,
            gpu_memory_bytes=gpu_memory_bytes,
            gpu_memory_utilization=gpu_memory_utilization,
            indexer_policy=indexer_policy,
            load_mtp=load_mtp,
            runtime_reserve_bytes=runtime_reserve_bytes,
            block_size=block_size,
        )
        if plan.fits and plan.max_request_tokens >= context_tokens:
            return layout, plan
    return None


def candidate_layouts(spec: ModelSpec, *, gpus_per_node: int = 8, max_gpus: int = 256) -> Iterator[Layout]:
    """Layouts on whole nodes that a model can take, by number of GPUs, then simplest first.

    Simplest: no redundant experts, tensor parallelism that stays within a node and fills it, then pipeline stages
    before data-parallel ranks.
    """
    for gpus in range(gpus_per_node, max_gpus + 1, gpus_per_node):
        yield from sorted(_layouts_of(spec, gpus, gpus_per_node), key=_complexity)


def _layouts_of(spec: ModelSpec, gpus: int, gpus_per_node: int) -> Iterator[Layout]:
    for tp in _divisors(gpus):
        for dp in _divisors(gpus // tp):
            if dp > 1 and not spec.num_experts:
                continue  # data ranks of a dense model share nothing: they are replicas
            layout = Layout(tp, gpus // tp // dp, dp, enable_expert_parallel=dp > 1, gpus_per_node=gpus_per_node)
            if dp > 1:
                layout = replace(layout, redundant_experts=redundant_experts_needed(spec, layout))
            if not layout_problems(spec, layout):
                yield layout


def _complexity(layout: Layout) -> tuple[int, bool, int, int]:
    tp = layout.tensor_parallel_size
    return layout.redundant_experts, tp > layout.gpus_per_node, -tp, layout.data_parallel_size


def _divisors(number: int) -> list[int]:
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]
