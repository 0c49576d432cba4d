"""Everything the engine needs, resolved from a scenario."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sim.catalog.tables import number
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits, ServiceLevel
from sim.engine.pools import DecodePool
from sim.scenario.scenario import Scenario
from sim.simulation.engine import kv_cache_dtype, node_of
from sim.simulation.faults import fault_plan, restart_parts
from sim.simulation.memory import Planned
from sim.simulation.roles import Role, nodes_in_service, roles_of
from sim.simulation.tiers import host_plan, remote_plan
from sim.simulation.transfer import reserved_decode_tokens, transfer_plan
from sim.simulation.workload import workload_of
from sim.steptime.build import build_law
from sim.steptime.kernel import KernelStepLaw
from sim.units import MILLISECOND
from sim.workload.workload import Workload


@dataclass(frozen=True, slots=True)
class Built:
    """A scenario, resolved: memory plan, step law, cluster, workload.

    With two pools, `planned` and `law` are those of the prefill pool, and those of the decode pool stand beside them.
    """

    planned: Planned
    law: KernelStepLaw
    cluster: ClusterPlan
    workload: Workload
    decode_planned: Planned | None = None
    decode_law: KernelStepLaw | None = None


def build(scenario: Scenario) -> Built:
    """Resolve a scenario.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError, TraceError : the input cannot be used.
    """
    first, *others = roles_of(scenario)
    law, workload = law_of(first.scenario, first.planned), workload_of(scenario)
    if not others:
        return Built(first.planned, law, cluster_plan(scenario, first.planned), workload)
    decode = others[0]
    pool = decode_pool(scenario, first, decode)
    cluster = replace(cluster_plan(first.scenario, first.planned, nodes_in_service(scenario)), decode=pool)
    return Built(first.planned, law, cluster, workload, decode.planned, law_of(decode.scenario, decode.planned))


def decode_pool(scenario: Scenario, prefill: Role, decode: Role) -> DecodePool:
    """The decode pool of a disaggregated scenario."""
    return DecodePool(
        limits=limits_of(decode.scenario, decode.planned),
        replicas=decode.replicas,
        nodes_per_replica=decode.planned.layout.num_nodes,
        transfer=transfer_plan(scenario, prefill.planned, decode.planned),
        restart_s=sum(restart_parts(decode.scenario, decode.planned).values()),
        num_reserved_decode_tokens=reserved_decode_tokens(scenario),
    )


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


def cluster_plan(scenario: Scenario, planned: Planned, nodes: int | None = None) -> ClusterPlan:
    """Limits, policies and faults of the cluster.

    Parameters
    ----------
    nodes : in service, where there are others than those of `planned`.
    """
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
        faults=fault_plan(scenario, planned, nodes),
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
