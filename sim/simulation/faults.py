"""Faults, repairs and restarts of a scenario, resolved for the engine."""

from __future__ import annotations

from sim.catalog.tables import number
from sim.engine.plan import FaultPlan
from sim.errors import ScenarioError
from sim.faults.phases import Phases
from sim.scenario.scenario import Scenario
from sim.simulation.memory import Planned
from sim.units import DAY_S, GB, HOUR_S

TABLE = "reliability"
USUAL_REPAIR = "urgent"  # of a run of hours, whose faults are of one kind
RESTART_PARTS = (
    "schedule_s",
    "process_init_s",
    "weight_load_s",
    "kv_allocation_s",
    "graph_capture_s",
    "kernel_compile_s",
    "warm_up_s",
)


def fault_plan(scenario: Scenario, planned: Planned, nodes: int | None = None) -> FaultPlan:
    """Fault rate, injected faults, repair law, detection and restart.

    Parameters
    ----------
    nodes : in service, where there are others than those of `planned`.

    Raises
    ------
    ScenarioError : a fault is injected into a node that does not exist, or after the end of the run.
    """
    chosen = scenario.reliability
    return FaultPlan(
        rate_per_s=node_faults_per_1000_node_days(scenario) / (1000.0 * DAY_S) if chosen.faults else 0.0,
        scheduled=_injected(scenario, planned, nodes),
        repair=repair_law(chosen.repair or USUAL_REPAIR),
        repair_crews=chosen.repair_crews,
        restart_s=sum(restart_parts(scenario, planned).values()),
        detect_s=number(TABLE, "restart", "detect_s") if chosen.detect_s is None else chosen.detect_s,
    )


def node_faults_per_1000_node_days(scenario: Scenario) -> float:
    """The scenario's rate of node faults, or the catalog's; whether or not the run draws any."""
    chosen = scenario.reliability.node_faults_per_1000_node_days
    return number(TABLE, "node_faults", "rate_per_1000_node_days") if chosen is None else chosen


def repair_law(preset: str) -> Phases:
    """Mixture of exponential repair times: `managed` has mean 2.2 h, `urgent` 30.075 h, `trace` 132.9 h."""
    name = f"repair_{preset}"
    phases = range(1, int(number(TABLE, name, "phases")) + 1)
    return Phases(
        shares=tuple(number(TABLE, name, f"share_{phase}") for phase in phases),
        means_s=tuple(number(TABLE, name, f"mean_h_{phase}") * HOUR_S for phase in phases),
    )


def restart_parts(scenario: Scenario, planned: Planned) -> dict[str, float]:
    """Seconds of each part of a restart; they add up to the time from a complete set of nodes to the first request.

    Every node loads its own share of the weights at `load_bandwidth_gb_per_s`. Checked: 753 GB on one node at the
    catalog's figures give 320 s, 330 s with detection, where 348 s were observed.
    """
    parts = {}
    for part in RESTART_PARTS:
        given = getattr(scenario.reliability.restart, part)
        if given is not None:
            parts[part] = float(given)
        elif part == "weight_load_s":
            parts[part] = node_weight_bytes(planned) / (load_bandwidth_gb_per_s(scenario) * GB)
        else:
            parts[part] = number(TABLE, "restart", part)
    return parts


def load_bandwidth_gb_per_s(scenario: Scenario) -> float:
    """Rate at which one node loads weights: the scenario's, or the catalog's."""
    chosen = scenario.reliability.restart.load_bandwidth_gb_per_s
    return number(TABLE, "restart", "load_bandwidth_gb_per_s") if chosen is None else chosen


def node_weight_bytes(planned: Planned) -> float:
    """Weight bytes that one node loads."""
    layout = planned.layout
    return planned.memory.weight_bytes * min(layout.gpus_per_node, layout.num_gpus)


def _injected(scenario: Scenario, planned: Planned, in_service: int | None) -> tuple[tuple[float, int], ...]:
    deployment, horizon_s = scenario.deployment, scenario.run.horizon_s
    replicas = deployment.replicas if deployment.autoscaling is None else deployment.autoscaling.max_replicas
    own = replicas * planned.layout.num_nodes if in_service is None else in_service
    nodes = own + deployment.spare_nodes
    for index, fault in enumerate(scenario.reliability.inject):
        if fault.node >= nodes:
            raise ScenarioError(
                "there is no such node",
                key=f"reliability.inject.{index}.node",
                value=fault.node,
                valid=f"0 to {nodes - 1} (replica by replica, then spares)",
                file=scenario.file,
            )
        if fault.at_s >= horizon_s:
            raise ScenarioError(
                "the fault comes after the end of the run",
                key=f"reliability.inject.{index}.at_s",
                value=fault.at_s,
                valid=f"below run.horizon_s = {horizon_s:g}",
                file=scenario.file,
            )
    return tuple((fault.at_s, fault.node) for fault in scenario.reliability.inject)
