"""The fleet of a scenario for the clock of days, as far as its keys describe it: one class of node faults."""

from __future__ import annotations

from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan, Recovery, Shop, Spares
from sim.faults.phases import Phases
from sim.scenario.scenario import Scenario
from sim.simulation.faults import fault_plan, node_faults_per_1000_node_days, restart_parts
from sim.simulation.roles import roles_of
from sim.units import DAY_S

NODE_FAULT = "node_fault"


def fleet_plan(scenario: Scenario) -> FleetPlan:
    """Nodes, spares, faults and repair; node faults at the scenario's rate or the catalog's, drawn or not in a run.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError : the input cannot be used.
    """
    roles = roles_of(scenario)
    faults = fault_plan(scenario, roles[0].planned, sum(role.nodes for role in roles))
    repair = Phases(faults.repair.shares, faults.repair.means_s, faults.repair.sigma)
    rate_per_s = node_faults_per_1000_node_days(scenario) / (1000.0 * DAY_S)
    nodes = [role.planned.layout.num_nodes for role in roles for _ in range(role.replicas)]
    restart_s = [
        sum(restart_parts(role.scenario, role.planned).values()) for role in roles for _ in range(role.replicas)
    ]
    return FleetPlan(
        nodes=tuple(nodes),
        recovery=Recovery(faults.detect_s, faults.detect_s, tuple(restart_s)),
        node_classes=(FaultClass(NODE_FAULT, rate_per_s, repair),),
        spares=Spares(scenario.deployment.spare_nodes),
        shop=Shop(crews=faults.repair_crews),
    )


def replicas_by_pool(scenario: Scenario) -> tuple[int, ...]:
    """Replicas of each pool, in order."""
    return tuple(role.replicas for role in roles_of(scenario))
