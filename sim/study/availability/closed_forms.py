"""What theory says of the same fleet, where it can: independent nodes that are all alike."""

from __future__ import annotations

from dataclasses import dataclass

from sim.faults.fleet_plan import FleetPlan
from sim.faults.operation import Operation, Strategy
from sim.oracle.availability import k_of_n, unit_availability
from sim.oracle.repairman import Repairman


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """All replicas up, by theory.

    Attributes
    ----------
    node_frac : share of time that one node is not under repair.
    nodes_frac : share of time with a complete set of nodes for every replica.
    all_up_frac : the same less detection and restart after each fault, and planned work.
    law : which theory.
    """

    node_frac: float
    nodes_frac: float
    all_up_frac: float
    law: str


def closed_form(plan: FleetPlan) -> ClosedForm:
    """Independent, equal nodes with a crew for each, spares pooled.

    Hot spares fail like the others: with A the availability of a node, at least n of n + s are up by a binomial law.
    Cold ones do not: the repairman's chain. From this is taken, to first order, the share of time in which a replica
    has all its nodes but is being detected or restarted, faults per second x (detection + restart), and that of planned
    work, replica by replica. Bad repairs and shocks count by their number, as if they came alone; crews, early faults,
    unequal nodes and outages of the site are left out.

    Sources
    -------
    Barlow and Proschan, Statistical Theory of Reliability (1975), chapter 4. Checked with A = 1 / (1 + 5/1000 x 30/24):
    four nodes 0.97533, with a hot spare 0.99962, with two 0.99999.
    """
    first = sum(kind.rate_per_s for kind in plan.node_classes if kind.leaves)
    leave_per_s = (first + plan.common.per_node_s) / (1.0 - plan.shop.bad_repair)
    stay_per_s = sum(kind.rate_per_s for kind in plan.node_classes if not kind.leaves)
    repair_s = _mean_repair_s(plan) + plan.shop.requalify_s
    needed, spares = plan.in_service, plan.spares.count
    node_frac = unit_availability(1.0 / leave_per_s, repair_s) if leave_per_s > 0.0 and repair_s > 0.0 else 1.0
    hot = plan.spares.fail or not spares
    if node_frac == 1.0:
        nodes_frac = 1.0
    elif hot:
        nodes_frac = k_of_n(needed, needed + spares, node_frac)
    else:
        nodes_frac = Repairman(needed, 1.0 / leave_per_s, repair_s, spares=spares).at_least_frac(needed)
    hits_per_s, detect_s = leave_per_s + stay_per_s, _detect_s(plan)
    lost = sum(
        nodes * hits_per_s * (detect_s + restart_s)
        for nodes, restart_s in zip(plan.nodes, plan.recovery.restart_s, strict=True)
    )
    for kind in plan.replica_classes:
        if kind.slow_s is None:
            seen_s = _seen_s(plan, kind.hang_frac)
            lost += sum(kind.rate_per_s * (seen_s + restart_s) for restart_s in plan.recovery.restart_s)
    lost += sum(_planned_s(plan, operation) / operation.interval_s for operation in plan.operations)
    law = "binomial, hot spares" if hot else "repairman, cold spares"
    return ClosedForm(node_frac, nodes_frac, nodes_frac * max(0.0, 1.0 - lost), law)


def _mean_repair_s(plan: FleetPlan) -> float:
    """Mean over the classes whose node leaves, by their rates."""
    kinds = [(kind.rate_per_s, kind.repair.mean_s) for kind in plan.node_classes if kind.repair is not None]
    total = sum(rate for rate, _ in kinds)
    return sum(rate * mean_s for rate, mean_s in kinds) / total if total > 0.0 else 0.0


def _planned_s(plan: FleetPlan, operation: Operation) -> float:
    """Replica-seconds out of service of one round of planned work."""
    if operation.strategy not in {Strategy.ROLLING, Strategy.CANARY}:
        return 0.0
    recovery = plan.recovery
    each_s = operation.drain_s + operation.work_s + (recovery.cold_s if operation.cold else 0.0)
    return sum(each_s + restart_s for restart_s in recovery.restart_s)


def _detect_s(plan: FleetPlan) -> float:
    total = sum(kind.rate_per_s for kind in plan.node_classes)
    if total == 0.0:
        return plan.recovery.detect_s
    hang_frac = sum(kind.rate_per_s * kind.hang_frac for kind in plan.node_classes) / total
    return _seen_s(plan, hang_frac)


def _seen_s(plan: FleetPlan, hang_frac: float) -> float:
    recovery = plan.recovery
    return (1.0 - hang_frac) * recovery.detect_s + hang_frac * recovery.detect_hang_s
