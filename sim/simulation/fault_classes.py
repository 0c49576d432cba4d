"""Classes of faults of a scenario: those of the catalog, with what the scenario changes."""

from __future__ import annotations

from typing import Final, get_args

from sim.catalog.tables import number
from sim.faults.fault_class import FaultClass
from sim.faults.phases import Phases, exponential, lognormal
from sim.scenario.fleet import FaultClassSection
from sim.scenario.reliability import NodeClass, Reliability
from sim.simulation.faults import TABLE, repair_law
from sim.units import DAY_S, HOUR_S, MINUTE_S, MONTH_H

NODE_CLASSES: Final[tuple[NodeClass, ...]] = get_args(NodeClass)
ENGINE_STAYS: Final = frozenset({"software_crash"})  # the node is not at fault
NEED_PART: Final = frozenset({"gpu_rma", "host_hw"})
AS_IN_CATALOG: Final = FaultClassSection()


def node_classes(chosen: Reliability) -> tuple[FaultClass, ...]:
    """Classes of node faults at the rates of single first faults.

    The total is the scenario's rate of node faults, or the catalog's, or the sum of the classes where the scenario sets
    the rate of one. Nodes that return with their fault are part of it, and so are shocks: first single faults come so
    much less often.
    """
    rates = {name: _rate(name, chosen) for name in NODE_CLASSES}
    total = sum(rates.values())
    factor = faults_per_1000_node_days(chosen) / total if total > 0.0 else 0.0
    per_s = factor / (1000.0 * DAY_S)
    first = (1.0 - bad_repair_frac(chosen)) * (1.0 - shock_frac(chosen))  # of nodes that leave
    preset = None if chosen.repair is None else repair_law(chosen.repair)
    return tuple(
        _node_class(name, rate * per_s * (1.0 if name in ENGINE_STAYS else first), preset, chosen)
        for name, rate in rates.items()
    )


def faults_per_1000_node_days(chosen: Reliability) -> float:
    """Node faults of all classes together."""
    if chosen.node_faults_per_1000_node_days is not None:
        return chosen.node_faults_per_1000_node_days
    if any(section.rate_per_1000_node_days is not None for section in chosen.fault_classes.values()):
        return sum(_rate(name, chosen) for name in NODE_CLASSES)
    return number(TABLE, "node_faults", "rate_per_1000_node_days")


def bad_repair_frac(chosen: Reliability) -> float:
    """Share of repairs after which the fault shows again."""
    given = chosen.bad_repair_frac
    return number(TABLE, "bad_repair", "probability") if given is None else given


def shock_frac(chosen: Reliability) -> float:
    """Share of the node faults that come as shocks of several nodes."""
    common = chosen.common_cause
    if common is None:
        return 0.0
    return number(TABLE, "common_cause", "share_frac") if common.share_frac is None else common.share_frac


def replica_classes(chosen: Reliability) -> tuple[FaultClass, ...]:
    """Engines that crash, and those that are slow for a while."""
    crashes, slow = chosen.engine_crashes_per_replica_month, chosen.slow_phases_per_replica_month
    crash_per_s = 1.0 / (number(TABLE, "engine_crash", "mtbf_days") * DAY_S)
    slow_per_month = number(TABLE, "fail_slow", "per_replica_month") if slow is None else slow
    return (
        FaultClass(
            "engine_crash",
            crash_per_s if crashes is None else crashes / (MONTH_H * HOUR_S),
            hang_frac=number(TABLE, "engine_crash", "hang_frac"),
            hands_on_s=number(TABLE, "engine_crash", "hands_on_h") * HOUR_S,
        ),
        FaultClass(
            "fail_slow",
            slow_per_month / (MONTH_H * HOUR_S),
            slow_s=exponential(number(TABLE, "fail_slow", "slow_mean_min") * MINUTE_S),
            pace=number(TABLE, "fail_slow", "pace"),
            hands_on_s=number(TABLE, "fail_slow", "hands_on_h") * HOUR_S,
        ),
    )


def _own(name: NodeClass, chosen: Reliability) -> FaultClassSection:
    return chosen.fault_classes.get(name, AS_IN_CATALOG)


def _rate(name: NodeClass, chosen: Reliability) -> float:
    return _value(name, "rate_per_1000_node_days", chosen)


def _value(name: NodeClass, parameter: str, chosen: Reliability) -> float:
    """What the scenario says of a class, or the catalog."""
    given = getattr(_own(name, chosen), parameter)
    return number(TABLE, f"fault_{name}", parameter) if given is None else float(given)


def _node_class(name: NodeClass, rate_per_s: float, preset: Phases | None, chosen: Reliability) -> FaultClass:
    subject = f"fault_{name}"
    thermal = name == "thermal"
    return FaultClass(
        name,
        rate_per_s,
        None if name in ENGINE_STAYS else _repair(name, preset, chosen),
        hang_frac=_value(name, "hang_frac", chosen),
        hands_on_s=_value(name, "hands_on_h", chosen) * HOUR_S,
        needs_part=name in NEED_PART,
        slow_s=exponential(number(TABLE, subject, "slow_mean_min") * MINUTE_S) if thermal else None,
        pace=number(TABLE, subject, "pace") if thermal else 1.0,
        hidden=exponential(number(TABLE, subject, "hidden_mean_h") * HOUR_S) if name == "sdc" else None,
    )


def _repair(name: NodeClass, preset: Phases | None, chosen: Reliability) -> Phases:
    """The class's own law where the scenario sets it, then the preset that it names, then the catalog's."""
    own = _own(name, chosen)
    if preset is not None and own.repair_mean_h is None and own.repair_sigma is None:
        return preset
    stocked = chosen.parts is not None and name in NEED_PART and own.repair_mean_h is None
    parameter = "repair_with_part_mean_h" if stocked else "repair_mean_h"
    mean_h = number(TABLE, f"fault_{name}", parameter) if stocked else _value(name, parameter, chosen)
    sigma = _value(name, "repair_sigma", chosen)
    return lognormal(mean_h * HOUR_S, sigma) if sigma else exponential(mean_h * HOUR_S)
