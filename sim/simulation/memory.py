"""The memory plan of a scenario, and what would fit when it does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict

from sim.catalog.tables import number, table
from sim.errors import CatalogError, ModelConfigError, ScenarioError
from sim.llm.fit import smallest_fit
from sim.llm.kvcache import IndexerPolicy
from sim.llm.layout import Layout
from sim.llm.memory import MemoryPlan, plan_memory
from sim.llm.spec import ModelSpec
from sim.llm.zoo import load_model
from sim.scenario.scenario import Scenario
from sim.simulation.context_parallel import check_context_parallel
from sim.simulation.engine import (
    check_hardware,
    indexer_policy,
    kv_cache_dtype,
    node_of,
    runtime_reserve_bytes,
    weights_of,
    workspace_token_bytes,
)
from sim.simulation.engine_rules import refuse_what_no_engine_runs
from sim.simulation.infeasible import Infeasible
from sim.simulation.memory_fraction import memory_fraction
from sim.simulation.speculation import NONE, Speculation, speculation_of
from sim.units import GIB


@dataclass(frozen=True, slots=True)
class Planned:
    """A scenario's model, layout and memory plan.

    Attributes
    ----------
    max_model_len : longest request that the engine accepts, whatever the cache holds. Where the scenario does not say
        and memory is set aside for it, the longest with which the engine starts (vLLM's `--max-model-len auto`).
    speculation : drafts and their acceptance.
    workspace_bytes : part of the reserve that grows with `max_model_len` (`workspace_token_bytes`).
    refuses_to_start : whether the engine would, since the cache does not hold one request of the stated length.
    shortened : whether `max_model_len` is not stated, and less than the context of the model so that the engine starts.
    """

    spec: ModelSpec
    layout: Layout
    memory: MemoryPlan
    max_model_len: int
    speculation: Speculation = NONE
    workspace_bytes: float = 0.0
    refuses_to_start: bool = False
    shortened: bool = False

    @property
    def longest_request_tokens(self) -> int:
        """Longest admissible request: input plus output tokens, bounded by context and by one rank's cache."""
        reserved_tokens = 2 * self.speculation.num_speculative_tokens  # as in `EngineLimits.longest_request_tokens`
        return min(self.max_model_len, self.memory.kv_tokens_per_rank + 1 - reserved_tokens)


class _Terms(TypedDict):
    weights: str
    kv_cache_dtype: str
    gpu_memory_bytes: float
    gpu_memory_utilization: float
    indexer_policy: IndexerPolicy
    load_mtp: bool
    runtime_reserve_bytes: float
    block_size: int


def plan(scenario: Scenario) -> Planned:
    """The memory plan, whether it fits or not.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError : unknown names, or a layout that no engine could run.
    """
    assert scenario.deployment.disaggregation is None, "each pool has a plan of its own (`roles_of`)"
    check_hardware(scenario)
    spec = model_of(scenario)
    layout = layout_of(scenario)
    refuse_what_no_engine_runs(scenario, layout)
    check_context_parallel(scenario, spec)
    try:
        bare = plan_memory(spec, layout, **_terms(scenario, spec))
    except ScenarioError as error:
        key = "deployment.layout" if error.key == "layout" else error.key
        raise ScenarioError(error.problem, key=key, value=error.value, valid=error.valid, file=scenario.file) from None
    limit = scenario.deployment.engine.max_model_len
    if limit is not None and limit > spec.max_context_tokens:
        raise ScenarioError(
            f"exceeds the context of {spec.name}",
            key="deployment.engine.max_model_len",
            value=limit,
            valid=f"at most {spec.max_context_tokens}",
            file=scenario.file,
        )
    each = workspace_token_bytes(scenario, spec)
    longest = _startable_tokens(bare, each) if limit is None and each else limit or spec.max_context_tokens
    memory = replace(bare, runtime_reserve_bytes=bare.runtime_reserve_bytes + each * longest)
    wants_room = "room_for_max_model_len" in table("engines")[scenario.deployment.engine.name]
    refuses = wants_room and limit is not None and memory.fits and limit > memory.kv_tokens_per_rank
    shortened = limit is None and longest < spec.max_context_tokens
    return Planned(spec, layout, memory, longest, speculation_of(scenario, spec), each * longest, refuses, shortened)


def _startable_tokens(bare: MemoryPlan, workspace_token_bytes: float) -> int:
    """Longest context, in whole blocks, with room for its workspace and one request of that length; at least 1."""
    room_tokens = int(bare.kv_pool_bytes / (bare.kv_token_bytes.total_bytes + workspace_token_bytes))
    return max(1, min(room_tokens // bare.block_size * bare.block_size, bare.max_context_tokens))


def model_of(scenario: Scenario) -> ModelSpec:
    """The model of a scenario: a catalog row, or a configuration beside the scenario file.

    Raises
    ------
    ScenarioError : unknown or approximate model, missing or unreadable configuration; names file and key.
    """
    name = scenario.model.name
    path = scenario.locate(name)
    if name.endswith(".json") and not path.exists():
        raise ScenarioError("there is no file of that name", key="model.name", value=name, file=scenario.file)
    try:
        return load_model(path if path.exists() else name, allow_approximate=scenario.model.allow_approximate)
    except (CatalogError, ModelConfigError) as error:
        problem = str(error).replace("set allow_approximate", "set model.allow_approximate")
        raise ScenarioError(problem, key="model.name", file=scenario.file) from None


def layout_of(scenario: Scenario) -> Layout:
    """The layout of one replica, with the node size of the scenario's hardware."""
    chosen = scenario.deployment.layout
    return Layout(
        tensor_parallel_size=chosen.tensor_parallel_size,
        pipeline_parallel_size=chosen.pipeline_parallel_size,
        data_parallel_size=chosen.data_parallel_size,
        enable_expert_parallel=chosen.enable_expert_parallel,
        redundant_experts=chosen.redundant_experts,
        gpus_per_node=int(number("nodes", node_of(scenario), "gpus_per_node")),
        expert_ranks=chosen.expert_parallel_size,
        decode_context_parallel_size=chosen.decode_context_parallel_size,
        prefill_context_parallel_size=chosen.prefill_context_parallel_size,
    )


def misfit(scenario: Scenario, planned: Planned) -> Infeasible | None:
    """Why the plan cannot work and the smallest that would, or None when it works."""
    memory = planned.memory
    if planned.refuses_to_start:
        return _no_start(scenario, planned)
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
        _shorter(scenario, planned) + _smallest(scenario, planned),
        {
            "weights_gib_per_gpu": needed_gib,
            "usable_gib_per_gpu": usable_gib,
            "shortfall_gib_per_gpu": memory.shortfall_bytes / GIB,
        },
    )


def _no_start(scenario: Scenario, planned: Planned) -> Infeasible:
    held, most = planned.memory.kv_tokens_per_rank, _most_startable(scenario, planned)
    problem = (
        f"{scenario.deployment.engine.name} does not start: its cache must hold one request of max_model_len "
        f"{planned.max_model_len:,}, and holds {held:,} tokens."
    )
    numbers = {"max_model_len": float(planned.max_model_len), "kv_tokens_per_rank": float(held)}
    return Infeasible("does_not_start", problem, f"Set deployment.engine.max_model_len to {most:,} or less.", numbers)


def _most_startable(scenario: Scenario, planned: Planned) -> int:
    memory = planned.memory
    bare = replace(memory, runtime_reserve_bytes=memory.runtime_reserve_bytes - planned.workspace_bytes)
    return _startable_tokens(bare, workspace_token_bytes(scenario, planned.spec))


def _shorter(scenario: Scenario, planned: Planned) -> str:
    """The `max_model_len` with which it would fit as it is; empty where none would."""
    if planned.memory.shortfall_bytes >= planned.workspace_bytes:
        return ""
    return f"With max_model_len {_most_startable(scenario, planned):,} or less it fits as it is. "


def _smallest(scenario: Scenario, planned: Planned) -> str:
    terms = _terms(scenario, planned.spec)
    if scenario.deployment.engine.max_model_len is not None:
        terms["runtime_reserve_bytes"] += planned.workspace_bytes
    fit = smallest_fit(planned.spec, gpus_per_node=planned.layout.gpus_per_node, **terms)
    if fit is None:
        return f"No layout of up to 256 {scenario.hardware.gpu} holds it in {planned.memory.weights}."
    layout, memory = fit
    return (
        f"The smallest that fits: {layout.num_gpus} x {scenario.hardware.gpu} as {layout}, with "
        f"{memory.weight_bytes / GIB:.1f} GiB of weights per GPU and room for {memory.kv_tokens:,} tokens of context."
    )


def _terms(scenario: Scenario, spec: ModelSpec) -> _Terms:
    engine = scenario.deployment.engine
    return {
        "weights": weights_of(scenario, spec),
        "kv_cache_dtype": kv_cache_dtype(scenario, spec),
        "gpu_memory_bytes": number("gpus", scenario.hardware.gpu, "visible_memory_gib") * GIB,
        "gpu_memory_utilization": memory_fraction(scenario),
        "indexer_policy": indexer_policy(scenario),
        "load_mtp": scenario.model.load_mtp or engine.num_speculative_tokens > 0,
        "runtime_reserve_bytes": runtime_reserve_bytes(scenario),
        # Each GPU holds block_size tokens of a block (vLLM pull request 23734).
        "block_size": engine.block_size * scenario.deployment.layout.decode_context_parallel_size,
    }
