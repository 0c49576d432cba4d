"""The fleet of a scenario for the clock of days: faults by class, repair, spares and planned work."""

from __future__ import annotations

from sim.catalog.tables import number
from sim.faults.fleet_plan import FleetPlan, Recovery
from sim.scenario.scenario import Scenario
from sim.simulation.fault_classes import node_classes, replica_classes
from sim.simulation.faults import TABLE, detect_s, restart_parts
from sim.simulation.fleet_parts import common, early_faults, elastic, frailty_shape, shop, spares
from sim.simulation.operations import operations
from sim.simulation.roles import Role, roles_of


def fleet_plan(scenario: Scenario) -> FleetPlan:
    """Nodes, spares, faults, repair and planned work; faults at their rates, whether or not a run draws any.

    `reliability.node_faults_per_1000_node_days` scales all classes of node faults; `reliability.repair`, where the
    scenario sets it, takes the place of the repair times of all classes whose node leaves. Nodes that return with their
    fault still in them are part of the rate, and so are shocks of several nodes.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError : the input cannot be used.
    """
    roles = roles_of(scenario)
    early_amplitude, early_s = early_faults(scenario)
    return FleetPlan(
        nodes=tuple(role.planned.layout.num_nodes for role in roles for _ in range(role.replicas)),
        recovery=recovery(scenario, roles),
        node_classes=node_classes(scenario.reliability),
        replica_classes=replica_classes(scenario.reliability),
        spares=spares(scenario),
        shop=shop(scenario),
        common=common(scenario),
        elastic=elastic(scenario),
        operations=operations(scenario),
        frailty_shape=frailty_shape(scenario),
        early_amplitude=early_amplitude,
        early_s=early_s,
    )


def recovery(scenario: Scenario, roles: tuple[Role, ...]) -> Recovery:
    """Detection, restart of each replica, and what comes after it."""
    chosen, warming = scenario.reliability, scenario.reliability.warming
    parts = [restart_parts(role.scenario, role.planned) for role in roles for _ in range(role.replicas)]
    hang_s, compile_s = chosen.detect_hang_s, chosen.cold_compile_s
    if compile_s is None:
        compile_s = number(TABLE, "restart", "cold_compile_s")
    return Recovery(
        detect_s=detect_s(scenario),
        detect_hang_s=number(TABLE, "hang", "detect_s") if hang_s is None else hang_s,
        restart_s=tuple(sum(part.values()) for part in parts),
        warm_s=0.0 if warming is None else warming.duration_s,
        warm_pace=1.0 if warming is None else warming.pace,
        cold_s=max(0.0, compile_s - parts[0]["kernel_compile_s"]),
    )


def replicas_by_pool(scenario: Scenario) -> tuple[int, ...]:
    """Replicas of each pool, in order."""
    return tuple(role.replicas for role in roles_of(scenario))
