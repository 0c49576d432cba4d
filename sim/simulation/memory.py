"""The memory plan of a scenario, and what would fit when it does not."""

from __future__ import annotations

from dataclasses import dataclass

from sim.catalog.tables import fact, number
from sim.llm.fit import smallest_fit
from sim.llm.kvcache import IndexerPolicy
from sim.llm.layout import Layout
from sim.llm.memory import MemoryPlan, plan_memory
from sim.llm.spec import ModelSpec
from sim.llm.zoo import load_model
from sim.scenario.scenario import Scenario
from sim.simulation.infeasible import Infeasible
from sim.units import GIB


@dataclass(frozen=True, slots=True)
class Planned:
    """A scenario's model, layout and memory plan."""

    spec: ModelSpec
    layout: Layout
    memory: MemoryPlan
    max_model_len: int


def layout_of(scenario: Scenario) -> Layout:
    """The layout of one replica, with the node size of the scenario's hardware."""
    chosen = scenario.deployment.layout
    return Layout(
        tensor_parallel_size=chosen.tensor_parallel_size,
        pipeline_parallel_size=chosen.pipeline_parallel_size,
        data_parallel_size=chosen.data_parallel_size,
        enable_expert_parallel=chosen.enable_expert_parallel,
        redundant_experts=chosen.redundant_experts,
        gpus_per_node=int(number("nodes", scenario.hardware.node, "gpus_per_node")),
    )


def plan(scenario: Scenario) -> Planned:
    """The memory plan, whether it fits or not.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError : unknown names, or a layout that no engine could run.
    """
    spec = load_model(scenario.model.name, allow_approximate=scenario.model.allow_approximate)
    layout = layout_of(scenario)
    memory = plan_memory(spec, layout, load_mtp=scenario.model.load_mtp, **_terms(scenario))
    limit = scenario.deployment.engine.max_model_len
    max_model_len = min(limit, spec.max_context_tokens) if limit is not None else spec.max_context_tokens
    return Planned(spec, layout, memory, max_model_len)


def misfit(scenario: Scenario, planned: Planned) -> Infeasible | None:
    """Why the plan cannot work and the smallest that would, or None when it works."""
    memory = planned.memory
    if memory.fits:
        return None
    needed_gib, usable_gib = memory.weight_bytes / GIB, memory.usable_bytes / GIB
    reserve_gib = memory.runtime_reserve_bytes / GIB
    problem = (
        f"{planned.spec.name} in {memory.weights} does not fit {planned.layout.num_gpus} x {scenario.hardware.gpu} as "
        f"{planned.layout}: each GPU must hold {needed_gib:.1f} GiB of weights and {reserve_gib:.1f} GiB of runtime "
        f"reserve, and may use {usable_gib:.1f} GiB."
    )
    return Infeasible(
        "does_not_fit",
        problem,
        _smallest(scenario, planned),
        {
            "weights_gib_per_gpu": needed_gib,
            "usable_gib_per_gpu": usable_gib,
            "shortfall_gib_per_gpu": memory.shortfall_bytes / GIB,
        },
    )


def _smallest(scenario: Scenario, planned: Planned) -> str:
    fit = smallest_fit(
        planned.spec,
        load_mtp=scenario.model.load_mtp,
        gpus_per_node=planned.layout.gpus_per_node,
        **_terms(scenario),
    )
    if fit is None:
        return f"No layout of up to 256 {scenario.hardware.gpu} holds it in {scenario.model.weights}."
    layout, memory = fit
    return (
        f"The smallest that fits: {layout.num_gpus} x {scenario.hardware.gpu} as {layout}, with "
        f"{memory.weight_bytes / GIB:.1f} GiB of weights per GPU and room for {memory.kv_tokens:,} tokens of context."
    )


def _terms(scenario: Scenario) -> dict[str, object]:
    engine = scenario.deployment.engine
    return {
        "weights": scenario.model.weights,
        "kv_cache_dtype": kv_cache_dtype(scenario),
        "gpu_memory_bytes": number("gpus", scenario.hardware.gpu, "visible_memory_gib") * GIB,
        "gpu_memory_utilization": engine.gpu_memory_utilization,
        "indexer_policy": indexer_policy(scenario),
        "runtime_reserve_bytes": runtime_reserve_gib(scenario) * GIB,
        "block_size": engine.block_size,
    }


def kv_cache_dtype(scenario: Scenario) -> str:
    """The cache layout: the scenario's, or the engine's default."""
    chosen = scenario.deployment.engine.kv_cache_dtype
    if chosen != "auto":
        return chosen
    return str(fact("engines", scenario.deployment.engine.name, "kv_cache_dtype").value)


def indexer_policy(scenario: Scenario) -> IndexerPolicy:
    """Which layers get an indexer cache: the scenario's choice, or the engine's default."""
    chosen = scenario.deployment.engine.indexer_policy
    value = chosen if chosen != "auto" else str(fact("engines", scenario.deployment.engine.name, "indexer_policy").value)
    return "all_layers" if value == "all_layers" else "owners"


def runtime_reserve_gib(scenario: Scenario) -> float:
    """Memory kept for activations, graphs and buffers: the scenario's, or the engine's default for the layout."""
    chosen = scenario.deployment.engine.runtime_reserve_gib
    if chosen is not None:
        return chosen
    layout = scenario.deployment.layout
    wide = layout.enable_expert_parallel and layout.data_parallel_size > 1
    key = "runtime_reserve_wide_ep_gib" if wide else "runtime_reserve_gib"
    return number("engines", scenario.deployment.engine.name, key)
