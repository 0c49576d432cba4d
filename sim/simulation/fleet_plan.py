"""The fleet of a scenario for the clock of days: faults by class, repair, spares and planned work of the catalog."""

from __future__ import annotations

from typing import Final

from sim.catalog.tables import number
from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan, Recovery, Shop, Spares
from sim.faults.operation import Operation, Strategy
from sim.faults.phases import Phases, exponential, lognormal
from sim.scenario.scenario import Scenario
from sim.simulation.faults import TABLE, detect_s, node_faults_per_1000_node_days, repair_law, restart_parts
from sim.simulation.roles import roles_of
from sim.units import DAY_S, HOUR_S, MINUTE_S, MONTH_H

NODE_CLASSES: Final = (
    "software_crash",
    "gpu_reset",
    "node_swap",
    "gpu_rma",
    "net_link",
    "host_hw",
    "host_maint",
    "sdc",
    "thermal",
)
ENGINE_STAYS: Final = frozenset({"software_crash"})  # the node is not at fault


def fleet_plan(scenario: Scenario) -> FleetPlan:
    """Nodes, spares, faults, repair and planned work; faults at their rates, whether or not a run draws any.

    `reliability.node_faults_per_1000_node_days` scales all classes of node faults; `reliability.repair`, where the
    scenario sets it, takes the place of the repair times of all classes whose node leaves. Nodes that return with their
    fault still in them are part of the rate: first faults come so much less often.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError : the input cannot be used.
    """
    roles = roles_of(scenario)
    section = scenario.reliability
    chosen = repair_law(section.repair) if "repair" in section.model_fields_set else None
    nodes = [role.planned.layout.num_nodes for role in roles for _ in range(role.replicas)]
    restart_s = [
        sum(restart_parts(role.scenario, role.planned).values()) for role in roles for _ in range(role.replicas)
    ]
    return FleetPlan(
        nodes=tuple(nodes),
        recovery=Recovery(detect_s(scenario), number(TABLE, "hang", "detect_s"), tuple(restart_s)),
        node_classes=node_classes(node_faults_per_1000_node_days(scenario), chosen),
        replica_classes=replica_classes(),
        spares=Spares(scenario.deployment.spare_nodes),
        shop=Shop(
            crews=section.repair_crews,
            bad_repair=number(TABLE, "bad_repair", "probability"),
            refail=exponential(number(TABLE, "bad_repair", "refail_mean_days") * DAY_S),
        ),
        operations=operations(),
        frailty_shape=number(TABLE, "frailty", "shape"),
    )


def replicas_by_pool(scenario: Scenario) -> tuple[int, ...]:
    """Replicas of each pool, in order."""
    return tuple(role.replicas for role in roles_of(scenario))


def node_classes(per_1000_node_days: float, repair: Phases | None = None) -> tuple[FaultClass, ...]:
    """The classes of the catalog, scaled to a total rate that bad repairs are part of.

    Parameters
    ----------
    repair : of all classes whose node leaves; None for their own.
    """
    rates = {name: number(TABLE, f"fault_{name}", "rate_per_1000_node_days") for name in NODE_CLASSES}
    first_frac = 1.0 - number(TABLE, "bad_repair", "probability")
    per_s = first_frac * per_1000_node_days / (sum(rates.values()) * 1000.0 * DAY_S)
    return tuple(_node_class(name, per_s * rate, repair) for name, rate in rates.items())


def _node_class(name: str, rate_per_s: float, repair: Phases | None) -> FaultClass:
    subject = f"fault_{name}"
    return FaultClass(
        name,
        rate_per_s,
        None if name in ENGINE_STAYS else repair or _repair(subject),
        hang_frac=number(TABLE, subject, "hang_frac"),
        slow_s=exponential(number(TABLE, subject, "slow_mean_min") * MINUTE_S) if name == "thermal" else None,
        pace=number(TABLE, subject, "pace") if name == "thermal" else 1.0,
        hidden=exponential(number(TABLE, subject, "hidden_mean_h") * HOUR_S) if name == "sdc" else None,
    )


def _repair(subject: str) -> Phases:
    mean_s, sigma = number(TABLE, subject, "repair_mean_h") * HOUR_S, number(TABLE, subject, "repair_sigma")
    return lognormal(mean_s, sigma) if sigma else exponential(mean_s)


def replica_classes() -> tuple[FaultClass, ...]:
    """Engines that crash, and those that are slow for a while."""
    crash_per_s = 1.0 / (number(TABLE, "engine_crash", "mtbf_days") * DAY_S)
    slow_per_s = number(TABLE, "fail_slow", "per_replica_month") / (MONTH_H * HOUR_S)
    slow_s = exponential(number(TABLE, "fail_slow", "slow_mean_min") * MINUTE_S)
    return (
        FaultClass("engine_crash", crash_per_s, hang_frac=number(TABLE, "engine_crash", "hang_frac")),
        FaultClass("fail_slow", slow_per_s, slow_s=slow_s, pace=number(TABLE, "fail_slow", "pace")),
    )


def operations() -> tuple[Operation, ...]:
    """Planned work at the intervals of the catalog, each for the first time after half of its interval."""
    engine_s, driver_s = (number(TABLE, name, "interval_days") * DAY_S for name in ("engine_upgrade", "driver_upgrade"))
    drain_s = number(TABLE, "engine_upgrade", "drain_s")
    work_s = number(TABLE, "driver_upgrade", "work_h") * HOUR_S
    return (
        Operation("engine_upgrade", Strategy.ROLLING, 0.5 * engine_s, engine_s, drain_s=drain_s),
        Operation("driver_upgrade", Strategy.ROLLING, 0.5 * driver_s, driver_s, drain_s=drain_s, work_s=work_s),
    )
