"""Planned work of a scenario: its own, or the upgrades of the catalog."""

from __future__ import annotations

from typing import Final, get_args

from sim.catalog.tables import number, subject
from sim.errors import ScenarioError
from sim.faults.operation import Operation, Strategy, Window
from sim.scenario.operations import Day, OperationSection, WindowSection
from sim.scenario.scenario import Scenario
from sim.simulation.faults import TABLE
from sim.units import DAY_S, HOUR_S

USUAL: Final = ("engine_upgrade", "driver_upgrade")
KNOWN: Final = (*USUAL, "model_change", "weight_swap")
STRATEGIES: Final = {"weight_swap": Strategy.IN_PLACE}
COLD: Final = frozenset({"model_change"})
DAYS: Final = get_args(Day)


def operations(scenario: Scenario) -> tuple[Operation, ...]:
    """Planned work, in the order of the scenario.

    Raises
    ------
    ScenarioError : work that the catalog does not know has no interval.
    """
    chosen = scenario.operations
    if chosen is None:
        chosen = dict.fromkeys(USUAL, OperationSection())
    return tuple(_operation(name, section, scenario) for name, section in chosen.items())


def _operation(name: str, section: OperationSection, scenario: Scenario) -> Operation:
    interval_days = _value(name, "interval_days", section)
    if interval_days is None:
        raise ScenarioError(
            "is not in the catalog and needs an interval",
            key=f"operations.{name}.interval_days",
            valid=f"days; or one of {', '.join(KNOWN)}, which have one",
            file=scenario.file,
        )
    strategy = STRATEGIES.get(name, Strategy.ROLLING) if section.strategy is None else Strategy(section.strategy)
    pause_s = section.pause_s
    if pause_s is None:
        pause_s = number(TABLE, "weight_swap", "pause_s") if strategy is Strategy.IN_PLACE else 0.0
    soak_s = number(TABLE, "canary", "soak_s") if section.soak_s is None else section.soak_s
    first_days = 0.5 * interval_days if section.first_days is None else section.first_days
    return Operation(
        name,
        strategy,
        first_days * DAY_S,
        interval_days * DAY_S,
        drain_s=_value(name, "drain_s", section) or 0.0,
        work_s=(_value(name, "work_h", section) or 0.0) * HOUR_S,
        cold=name in COLD if section.cold is None else section.cold,
        pause_s=pause_s,
        soak_s=soak_s if strategy is Strategy.CANARY else 0.0,
        wait_for_all=section.wait_for_all,
        window=None if section.window is None else _window(section.window),
    )


def _value(name: str, parameter: str, section: OperationSection) -> float | None:
    """What the scenario says, then the catalog, else nothing."""
    given = getattr(section, parameter)
    if given is not None:
        return float(given)
    if name not in KNOWN or parameter not in subject(TABLE, name):
        return None
    return number(TABLE, name, parameter)


def _window(section: WindowSection) -> Window:
    days = tuple(sorted(DAYS.index(day) for day in section.days))
    return Window(days, section.from_h * HOUR_S, section.to_h * HOUR_S)
