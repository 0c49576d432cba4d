"""The faults of one run: the fleet of its scenario on the clock of days, for as long as the run lasts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from sim.engine.cluster import Outcome
from sim.errors import ScenarioError
from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import NEVER, Common, FleetPlan
from sim.faults.strike import Strike
from sim.faults.timeline import Timeline
from sim.faults.transition import Transition
from sim.scenario.scenario import Scenario
from sim.simulation.faults import USUAL_REPAIR, repair_law
from sim.simulation.fleet_plan import fleet_plan
from sim.streams import Streams

INJECTED: Final = "node_fault"  # class of a fault that is injected without one


@dataclass(frozen=True, slots=True)
class RunFaults:
    """What the engine is told, and what is behind it."""

    transitions: tuple[Transition, ...]
    strikes: tuple[Strike, ...]


def run_fleet(scenario: Scenario) -> FleetPlan | None:
    """The fleet of a run; None where nothing happens to it.

    With `reliability.faults` it is that of `fleet_plan`, with the injected faults besides. Without, nothing happens but
    the injected faults: what is repaired is whole, no work is planned.

    Raises
    ------
    ScenarioError : a fault is injected into a node that does not exist, or after the end of the run.
    """
    chosen = scenario.reliability
    if not (chosen.faults or chosen.inject):
        return None
    plan = fleet_plan(scenario)
    if not chosen.faults:
        plan = _quiet(plan)
    extra = FaultClass(INJECTED, 0.0, repair_law(chosen.repair or USUAL_REPAIR))
    injected = tuple(_injected(scenario, plan.in_service + plan.spares.count))
    return replace(plan, node_classes=(*plan.node_classes, extra), injected=injected)


def run_faults(plan: FleetPlan, streams: Streams, horizon_s: float) -> RunFaults:
    """The faults of one replication, from its streams."""
    timeline = Timeline(plan, streams, record=True)
    timeline.run(horizon_s)
    return RunFaults(timeline.transitions, tuple(timeline.strikes))


def met(strikes: tuple[Strike, ...], outcome: Outcome) -> tuple[Strike, ...]:
    """The faults of a run until its end; those at replicas that had been given back met none."""
    return tuple(
        replace(strike, replica=None) if _given_back(strike, outcome) else strike
        for strike in strikes
        if strike.at_s <= outcome.end_s
    )


def _given_back(strike: Strike, outcome: Outcome) -> bool:
    spans = (span for span in outcome.released if span[0] == strike.replica)
    return any(
        from_s is not None and from_s <= strike.at_s < (NEVER if to_s is None else to_s) for _, from_s, to_s in spans
    )


def _quiet(plan: FleetPlan) -> FleetPlan:
    """The fleet with all its kinds of faults, none of which comes by itself."""
    return replace(
        plan,
        node_classes=tuple(replace(kind, rate_per_s=0.0) for kind in plan.node_classes),
        replica_classes=tuple(replace(kind, rate_per_s=0.0) for kind in plan.replica_classes),
        shop=replace(plan.shop, bad_repair=0.0),
        common=Common(),
        operations=(),
    )


def _injected(scenario: Scenario, nodes: int) -> Iterator[tuple[float, int, str]]:
    horizon_s = scenario.run.horizon_s
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
        yield fault.at_s, fault.node, fault.class_ or INJECTED
