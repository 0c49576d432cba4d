"""Everything the engine needs, resolved from a scenario."""

from __future__ import annotations

from dataclasses import dataclass

from sim.catalog.tables import number
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits, ServiceLevel
from sim.scenario.scenario import Scenario
from sim.simulation.engine import kv_cache_dtype, node_of
from sim.simulation.faults import fault_plan
from sim.simulation.memory import Planned, plan
from sim.simulation.tiers import host_plan, remote_plan
from sim.simulation.workload import workload_of
from sim.steptime.build import build_law
from sim.steptime.kernel import KernelStepLaw
from sim.units import MILLISECOND
from sim.workload.workload import Workload


@dataclass(frozen=True, slots=True)
class Built:
    """A scenario, resolved: memory plan, step law, cluster, workload."""

    planned: Planned
    law: KernelStepLaw
    cluster: ClusterPlan
    workload: Workload


def build(scenario: Scenario) -> Built:
    """Resolve a scenario.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError, TraceError : the input cannot be used.
    """
    planned = plan(scenario)
    return Built(planned, law_of(scenario, planned), cluster_plan(scenario, planned), workload_of(scenario))


def law_of(scenario: Scenario, planned: Planned) -> KernelStepLaw:
    """The step-time law of one replica."""
    engine = scenario.deployment.engine
    return build_law(
        planned.spec,
        planned.layout,
        gpu=scenario.hardware.gpu,
        node=node_of(scenario),
        engine=engine.name,
        weights=planned.memory.weights,
        kv_cache_dtype=kv_cache_dtype(scenario),
        imbalance=scenario.deployment.expert_imbalance.model_dump(exclude_none=True),
        host_overhead_s=None if engine.host_overhead_ms is None else engine.host_overhead_ms * MILLISECOND,
    )


def cluster_plan(scenario: Scenario, planned: Planned) -> ClusterPlan:
    """Limits, policies and faults of the cluster."""
    deployment, run = scenario.deployment, scenario.run
    return ClusterPlan(
        limits=limits_of(scenario, planned),
        replicas=deployment.replicas,
        nodes_per_replica=planned.layout.num_nodes,
        spare_nodes=deployment.spare_nodes,
        horizon_s=run.horizon_s,
        warmup_s=run.warmup_s,
        router=scenario.router.policy,
        client=client_policy(scenario),
        faults=fault_plan(scenario, planned),
        slo=service_level(scenario),
        max_requests=run.max_requests,
        record_requests=run.record_requests,
        host=host_plan(scenario, planned),
        remote=remote_plan(scenario, planned),
    )


def client_policy(scenario: Scenario) -> ClientPolicy:
    """Retries and patience: the scenario's, or the catalog's."""
    router = scenario.router

    def chosen(name: str) -> float:
        value = getattr(router, name)
        return number("reliability", "client", name) if value is None else float(value)

    return ClientPolicy(
        max_retries=int(chosen("max_retries")),
        retry_backoff_s=chosen("retry_backoff_s"),
        retry_backoff_factor=chosen("retry_backoff_factor"),
        request_timeout_s=chosen("request_timeout_s"),
        failure_pause_s=router.failure_pause_s,
    )


def limits_of(scenario: Scenario, planned: Planned) -> EngineLimits:
    """Engine limits of one replica."""
    engine = scenario.deployment.engine
    return EngineLimits(
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        block_size=engine.block_size,
        num_kv_blocks=planned.memory.kv_blocks_per_rank,
        max_model_len=planned.max_model_len,
        data_parallel_size=planned.layout.data_parallel_size,
        pipeline_parallel_size=planned.layout.pipeline_parallel_size,
        scheduling_policy=engine.scheduling_policy,
        scheduler_reserve_full_isl=engine.scheduler_reserve_full_isl,
        enable_prefix_caching=engine.enable_prefix_caching,
        affinity_guard=scenario.router.affinity_guard,
    )


def service_level(scenario: Scenario) -> ServiceLevel:
    """Latency limits in seconds; infinite where the scenario sets none."""
    slo = scenario.slo
    limits_ms = (slo.ttft_ms, slo.tpot_ms, slo.e2el_ms)
    return ServiceLevel(*(float("inf") if limit is None else limit * MILLISECOND for limit in limits_ms))
