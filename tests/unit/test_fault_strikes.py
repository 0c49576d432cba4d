"""Faults on purpose on the clock of days, and the list of all faults."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan
from sim.faults.phases import exponential
from sim.faults.strike import Strike
from sim.faults.timeline import Timeline
from sim.faults.transition import Action, Transition
from sim.streams import Streams
from sim.units import DAY_S, HOUR_S
from tests.fault_cases import fleet

CRASH = FaultClass("crash", 0.0)
RESET = FaultClass("reset", 0.0, exponential(60.0))


def quiet(*injected: tuple[float, int, str], replicas: int = 2, spares: int = 1) -> FleetPlan:
    """Two nodes each, nothing fails by itself; detection takes 10 s and a restart 100 s."""
    plan = fleet(replicas, nodes=2, spares=spares, detect_s=10.0, restart_s=100.0, replica_classes=(CRASH,))
    [kind] = plan.node_classes
    return replace(plan, node_classes=(replace(kind, rate_per_s=0.0), RESET), injected=injected)


def told(plan: FleetPlan, until_s: float = 1000.0) -> tuple[list[Strike], tuple[Transition, ...], int]:
    timeline = Timeline(plan, Streams(5), record=True)
    tally = timeline.run(until_s)
    return timeline.strikes, timeline.transitions, tally.idle_hits


def test_a_fault_on_purpose_comes_when_and_where_it_was_asked_for() -> None:
    """Without a class it is the first that leaves; node 3 stands in the second replica, which a spare brings back."""
    strikes, transitions, idle = told(quiet((200.0, 3, "")))

    assert strikes == [Strike(200.0, "fault", 3, 1, injected=True)]
    assert [(step.at_s, step.replica, step.action) for step in transitions] == [
        (200.0, 1, Action.DOWN),
        (310.0, 1, Action.UP),
    ]
    assert idle == 0


def test_a_fault_on_purpose_may_be_of_any_class() -> None:
    """By name; one of an engine meets the replica of the node, which restarts on the nodes that it has."""
    strikes, transitions, _ = told(quiet((200.0, 0, "reset"), (200.0, 3, "crash"), spares=0))

    assert [(strike.cause, strike.node, strike.replica) for strike in strikes] == [
        ("reset", 0, 0),
        ("crash", None, 1),
    ]
    first, second = ([step.at_s for step in transitions if step.replica == replica] for replica in (0, 1))
    assert second == [200.0, 310.0]
    assert first[0] == 200.0
    assert first[1] > 300.0, "its node is under repair for a minute in the mean, and there is no spare"
    with pytest.raises(ValueError, match="no class of faults named 'flood'"):
        told(quiet((200.0, 0, "flood")))


def test_a_fault_on_purpose_that_meets_no_replica_does_nothing() -> None:
    """At a spare, at a node under repair, of the engine of a replica that is down: counted, and that is all."""
    hits = [(150.0, 4, ""), (200.0, 0, ""), (250.0, 0, ""), (260.0, 1, "crash")]
    strikes, transitions, idle = told(quiet(*hits))

    assert idle == 3
    assert [strike.replica for strike in strikes] == [None, 0, None, None]
    assert transitions == told(quiet((200.0, 0, "")))[1]


def test_every_fault_is_in_the_list() -> None:
    """Those of spares, of surviving nodes and of engines too, as many of each class as the tally has."""
    plan = fleet(3, 100.0, exponential(10 * HOUR_S), nodes=2, spares=2, restart_s=HOUR_S)
    plan = replace(plan, replica_classes=(replace(CRASH, rate_per_s=1.0 / (10 * DAY_S)),))
    timeline = Timeline(plan, Streams(6), record=True)
    tally = timeline.run(400 * DAY_S)

    found = [strike.cause for strike in timeline.strikes]
    assert {cause: found.count(cause) for cause in set(found)} == dict(tally.faults)
    assert tally.faults["crash"] > 50
    assert any(strike.replica is None for strike in timeline.strikes)
    assert [strike.at_s for strike in timeline.strikes] == sorted(strike.at_s for strike in timeline.strikes)
    unrecorded = Timeline(plan, Streams(6))
    assert unrecorded.run(400 * DAY_S).faults == tally.faults
    assert unrecorded.strikes == []
