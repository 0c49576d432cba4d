"""Everything the engine needs, resolved from a scenario."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sim.engine.plan import ClusterPlan, EngineLimits, PrefixHash, ServiceLevel
from sim.engine.pools import DecodePool
from sim.faults.fleet_plan import FleetPlan
from sim.scenario.mix import PartSlo
from sim.scenario.scenario import Scenario
from sim.scenario.slo import SloSection
from sim.simulation.autoscaling import autoscaler_plan
from sim.simulation.clients import client_policy, health_plan
from sim.simulation.engine import kv_cache_dtype, node_of
from sim.simulation.engine_constants import calibration, constant, engine_constants
from sim.simulation.expert_load import expert_load
from sim.simulation.memory import Planned
from sim.simulation.roles import Role, roles_of
from sim.simulation.run_faults import run_fleet
from sim.simulation.scheduler import new_token_ratio, scheduler_of, tenant_limits
from sim.simulation.step_times import step_times_law
from sim.simulation.tiers import host_plan, remote_plan
from sim.simulation.transfer import reserved_decode_tokens, transfer_plan
from sim.simulation.workload import workload_of
from sim.steptime.build import build_law
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.kernel_draw import KernelDraw
from sim.steptime.law import StepLaw
from sim.steptime.served import served_law
from sim.units import MILLISECOND
from sim.workload.mix import Mix
from sim.workload.workload import Workload


@dataclass(frozen=True, slots=True)
class Built:
    """A scenario, resolved: memory plan, step law, cluster, workload, and limits of each tenant of a mix.

    With two pools, `planned`, `law` and `served` are those of the prefill pool; those of the decode pool stand beside.

    Attributes
    ----------
    law : of the kernels; `served` is that of the engine that runs them, or of measured step times in its place.
    fleet : nodes of all pools and what may happen to them; None where nothing does.
    """

    planned: Planned
    law: KernelStepLaw
    served: StepLaw
    cluster: ClusterPlan
    workload: Workload | Mix
    tenant_slos: tuple[ServiceLevel, ...] = ()
    decode_planned: Planned | None = None
    decode_law: KernelStepLaw | None = None
    decode_served: StepLaw | None = None
    fleet: FleetPlan | None = None


def build(scenario: Scenario, draw: KernelDraw | None = None) -> Built:
    """Resolve a scenario.

    Parameters
    ----------
    draw : how far kernels are from their fits; None for the fits.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError, TraceError : the input cannot be used.
    """
    first, *others = roles_of(scenario)
    law = law_of(first.scenario, first.planned, draw)
    built = Built(
        first.planned,
        law,
        _served(first, law),
        cluster_plan(first.scenario, first.planned),
        workload_of(scenario),
        tenant_service_levels(scenario),
        fleet=run_fleet(scenario),
    )
    if not others:
        return built
    decode = others[0]
    decode_law = law_of(decode.scenario, decode.planned, draw)
    return replace(
        built,
        cluster=replace(built.cluster, decode=decode_pool(scenario, first, decode)),
        decode_planned=decode.planned,
        decode_law=decode_law,
        decode_served=_served(decode, decode_law),
    )


def _served(role: Role, kernels: KernelStepLaw) -> StepLaw:
    """The law that the engine of a role is timed by."""
    measured = step_times_law(role.scenario, role.name)
    return served_law(kernels, engine_constants(role.scenario)) if measured is None else measured


def decode_pool(scenario: Scenario, prefill: Role, decode: Role) -> DecodePool:
    """The decode pool of a disaggregated scenario."""
    return DecodePool(
        limits=limits_of(decode.scenario, decode.planned),
        replicas=decode.replicas,
        nodes_per_replica=decode.planned.layout.num_nodes,
        transfer=transfer_plan(scenario, prefill.planned, decode.planned),
        num_reserved_decode_tokens=reserved_decode_tokens(scenario),
    )


def law_of(scenario: Scenario, planned: Planned, draw: KernelDraw | None = None) -> KernelStepLaw:
    """The step-time law of one replica."""
    engine = scenario.deployment.engine
    return build_law(
        planned.spec,
        planned.layout,
        gpu=scenario.hardware.gpu,
        node=node_of(scenario),
        engine=engine.name,
        weights=planned.memory.weights,
        kv_cache_dtype=kv_cache_dtype(scenario, planned.spec),
        imbalance=expert_load(scenario, planned.spec),
        host_overhead_s=constant(scenario, "host_overhead_ms") * MILLISECOND if _host_is_given(scenario) else None,
        num_speculative_tokens=engine.num_speculative_tokens,
        deepep_mode=engine.deepep_mode,
        dispatch_limit_tokens=engine.num_max_dispatch_tokens_per_rank,
        two_batch_overlap=engine.enable_two_batch_overlap,
        draw=draw,
    )


def _host_is_given(scenario: Scenario) -> bool:
    """Whether host time comes from the scenario or its calibration file, not from the catalog."""
    return scenario.deployment.engine.host_overhead_ms is not None or "host_overhead_ms" in calibration(scenario)


def cluster_plan(scenario: Scenario, planned: Planned) -> ClusterPlan:
    """Limits and policies of the cluster."""
    deployment, run, mix = scenario.deployment, scenario.run, scenario.workload.mix
    scaling = deployment.autoscaling
    return ClusterPlan(
        limits=limits_of(scenario, planned),
        replicas=deployment.replicas if scaling is None else scaling.max_replicas,
        nodes_per_replica=planned.layout.num_nodes,
        horizon_s=run.horizon_s,
        warmup_s=run.warmup_s,
        router=scenario.router.policy,
        client=client_policy(scenario),
        slo=service_level(scenario),
        max_requests=run.max_requests,
        record_requests=run.record_requests,
        tenant_limits=tenant_limits(scenario, tuple(mix.parts) if mix is not None else ()),
        prefix_hash=PrefixHash(scenario.router.prefix_hash_tokens, scenario.router.prefix_hash_load_factor),
        host=host_plan(scenario, planned),
        remote=remote_plan(scenario, planned),
        in_flight=scenario.router.in_flight,
        health=health_plan(scenario),
        autoscaler=autoscaler_plan(scenario, planned),
    )


def limits_of(scenario: Scenario, planned: Planned) -> EngineLimits:
    """Engine limits of one replica."""
    engine = scenario.deployment.engine
    return EngineLimits(
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        block_size=planned.memory.block_size,
        num_kv_blocks=planned.memory.kv_blocks_per_rank,
        max_model_len=planned.max_model_len,
        data_parallel_size=planned.layout.data_parallel_size,
        pipeline_parallel_size=planned.layout.pipeline_parallel_size,
        scheduling_policy=engine.scheduling_policy,
        scheduler_reserve_full_isl=engine.scheduler_reserve_full_isl,
        enable_prefix_caching=engine.enable_prefix_caching,
        affinity_guard=scenario.router.affinity_guard,
        num_speculative_tokens=planned.speculation.num_speculative_tokens,
        acceptance_length=planned.speculation.length,
        scheduler=scheduler_of(scenario),
        capacity_scheduler_policy=engine.capacity_scheduler_policy or "GUARANTEED_NO_EVICT",
        new_token_ratio=new_token_ratio(scenario),
        enable_mixed_chunk=engine.enable_mixed_chunk,
        max_tokens=engine.max_tokens or 0,
        kv_watermark_frac=engine.kv_watermark_frac,
        priority_preemption_threshold=engine.priority_preemption_threshold,
    )


def service_level(scenario: Scenario) -> ServiceLevel:
    """Latency limits in seconds; infinite where the scenario sets none."""
    return _limits(scenario.slo)


def tenant_service_levels(scenario: Scenario) -> tuple[ServiceLevel, ...]:
    """Limits of each tenant: its own, or the scenario's; a batch has none but its due time. Empty without tenants."""
    section = scenario.workload
    if section.mix is None:
        return () if section.batch is None else (ServiceLevel(),)
    return tuple(
        _limits(part.slo)
        if part.slo is not None
        else ServiceLevel()
        if part.batch is not None
        else _limits(scenario.slo)
        for part in section.mix.parts.values()
    )


def _limits(slo: SloSection | PartSlo) -> ServiceLevel:
    limits_ms = (slo.ttft_ms, slo.tpot_ms, slo.e2el_ms)
    return ServiceLevel(*(float("inf") if limit is None else limit * MILLISECOND for limit in limits_ms))
