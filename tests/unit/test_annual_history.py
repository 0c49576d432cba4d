"""Years of transitions as segments and events, and events as shapes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.faults.transition import Action, Transition
from sim.study.annual.history import history
from sim.study.annual.joining import Placing, split, usual_strata, weigh
from sim.study.annual.shape import key_of, kind_of, script, shapes, stages
from sim.study.annual.stratum import LOST, WHOLE, Ability, opening, stratum_of, whole_cluster, words
from tests.annual_cases import drawn_outages, in_order, outage


def test_outages_that_overlap_are_two_events_and_three_strata() -> None:
    """The second meets a cluster that has lost one already; time in strata adds up to the horizon."""
    steps = in_order(outage(100.0, 50.0, 0), outage(120.0, 60.0, 1, "hardware"))
    segments, events = history(steps, (2,), 1000.0)
    assert [(event.cause, event.at_s) for event in events] == [("crash", 100.0), ("hardware", 120.0)]
    assert events[0].entry == whole_cluster((2,))
    assert events[1].entry == ((LOST, WHOLE),)
    spans = [(segment.begin_s, segment.end_s, words(segment.stratum)) for segment in segments]
    assert spans == [
        (0.0, 100.0, "2 of 2 up"),
        (100.0, 120.0, "1 of 2 up"),
        (120.0, 150.0, "0 of 2 up"),
        (150.0, 180.0, "1 of 2 up"),
        (180.0, 1000.0, "2 of 2 up"),
    ]
    assert [segment.causes for segment in segments[1:4]] == [("crash",), ("crash", "hardware"), ("hardware",)]


def test_an_event_lasts_until_the_replica_is_whole_and_takes_requests() -> None:
    """A hang belongs to the restart that ends it, a drain to the one behind it, a pause to the growth before it."""
    hang = (
        Transition(10.0, 0, Action.HANG, "hang"),
        Transition(40.0, 0, Action.DOWN, "hang"),
        Transition(90.0, 0, Action.UP, "hang"),
    )
    upgrade = (
        Transition(200.0, 0, Action.DRAIN, "upgrade"),
        Transition(230.0, 0, Action.DOWN, "upgrade"),
        Transition(290.0, 0, Action.UP, "upgrade"),
    )
    elastic = (
        Transition(400.0, 0, Action.SHRINK, "gpu", ranks=(3,)),
        Transition(400.0, 0, Action.PAUSE, "gpu", 11.0),
        Transition(500.0, 0, Action.GROW, "gpu", ranks=(3,)),
        Transition(500.0, 0, Action.PAUSE, "gpu", 8.0),
    )
    segments, events = history((*hang, *upgrade, *elastic), (1,), 600.0)
    assert [kind_of(event) for event in events] == [
        ((Action.HANG, 0.0, 0), (Action.DOWN, 0.0, 0), (Action.UP, 0.0, 0)),
        ((Action.DRAIN, 0.0, 0), (Action.DOWN, 0.0, 0), (Action.UP, 0.0, 0)),
        ((Action.SHRINK, 0.0, 1), (Action.PAUSE, 0.0, 0), (Action.GROW, 0.0, 1), (Action.PAUSE, 0.0, 0)),
    ]
    lost_s = sum(segment.end_s - segment.begin_s for segment in segments if segment.stratum == ((LOST,),))
    assert lost_s == pytest.approx(80.0 + 60.0)
    shrunk_s = sum(s.end_s - s.begin_s for s in segments if s.stratum == ((Ability(missing=1),),))
    assert shrunk_s == pytest.approx(100.0)


def test_an_event_under_way_at_the_end_is_no_event_yet() -> None:
    """Its time in the stratum counts all the same."""
    segments, events = history(outage(90.0, 50.0), (1,), 100.0)
    assert events == []
    assert segments[-1].stratum == ((LOST,),)
    assert segments[-1].end_s == 100.0


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_time_in_strata_adds_up_and_every_outage_is_one_event(seed: int, replicas: int) -> None:
    """Whatever overlaps, nothing is lost or counted twice; capacity lost is the sum of all outages."""
    horizon_s = 20_000.0
    steps = drawn_outages(seed, horizon_s, 2000.0, replicas)
    segments, events = history(steps, (replicas,), horizon_s)
    assert sum(s.end_s - s.begin_s for s in segments) == pytest.approx(horizon_s)
    assert all(a.end_s == b.begin_s for a, b in pairwise(segments))
    assert 2 * len(events) == len(steps)
    lost_s = sum((s.end_s - s.begin_s) * sum(not c.up for c in s.stratum[0]) for s in segments)
    assert lost_s == pytest.approx(sum(event.gaps_s[0] for event in events))


def test_a_script_brings_a_whole_cluster_into_the_company_that_the_event_met() -> None:
    """What is lost before is lost at time zero, and the event happens to one that is whole."""
    _, events = history(in_order(outage(100.0, 500.0, 1), outage(200.0, 30.0, 0)), (2,), 1000.0)
    inner = next(event for event in events if event.at_s == 200.0)
    found = shapes(events)
    key = key_of(inner)
    steps = script(key, found[key.kind], 30.0, 600.0)
    assert [(step.at_s, step.replica, step.action) for step in steps] == [
        (0.0, 0, Action.DOWN),
        (600.0, 1, Action.DOWN),
        (630.0, 1, Action.UP),
    ]
    assert [(stage.begin_s, stage.end_s, words(stage.stratum)) for stage in stages(key, steps)] == [
        (600.0, 630.0, "0 of 2 up")
    ]


def test_conditions_open_a_stratum() -> None:
    """Slow and shrunk replicas are made so at time zero; the order in which replicas are named does not matter."""
    slow, shrunk = Ability(pace=1.3), Ability(missing=2)
    stratum = stratum_of([slow, LOST, WHOLE, shrunk], (4,))
    assert stratum == stratum_of([LOST, shrunk, slow, WHOLE], (4,))
    actions = [(step.action, step.value, step.ranks) for step in opening(stratum)]
    assert sorted(actions) == sorted([(Action.DOWN, 0.0, ()), (Action.SHRINK, 0.0, (0, 1)), (Action.PACE, 1.3, ())])
    assert slow.lost_frac(8) == pytest.approx(1.0 - 1.0 / 1.3)
    assert shrunk.lost_frac(8) == pytest.approx(0.25)


@given(st.floats(0.0, 20_000.0))
def test_shares_of_simulated_durations_add_up_to_one_event(duration_s: float) -> None:
    """And between the ends they keep the duration itself."""
    _, events = history(in_order(outage(0.0, 10.0), outage(1000.0, 4000.0), outage(9000.0, 9000.0)), (1,), 20_000.0)
    shape = next(iter(shapes(events).values()))
    assert shape.durations_s[0] == 30.0
    assert shape.durations_s[-1] == 4500.0
    _, drawn = history(outage(10.0, duration_s), (1,), 1e6)
    for event in drawn:
        parts = split(shape, event)
        assert sum(weight for _, weight in parts) == pytest.approx(1.0)
        if 30.0 <= duration_s <= 4500.0:
            mean_s = sum(weight * shape.durations_s[index] for index, weight in parts)
            assert mean_s == pytest.approx(event.gaps_s[0], rel=1e-9)


def test_weights_of_a_year_are_its_seconds_and_its_events() -> None:
    """Twice the events, twice the weight of responses; an outage over New Year counts in both years by its time."""
    once = in_order(outage(100.0, 50.0), outage(990.0, 40.0))
    segments, events = history(once, (2,), 2000.0)
    placing, strata = Placing.of(events, 4500.0), usual_strata(segments, (1,))
    found = weigh(segments, events, 2, 1000.0, placing, strata)
    lost = ((LOST, WHOLE),)
    assert [row[(lost,)] for row in found.years] == pytest.approx([60.0, 30.0])
    responses = [sum(weight for term, weight in row.items() if len(term) == 2) for row in found.years]
    assert responses == pytest.approx([2.0, 0.0])
    twice = in_order(once, outage(300.0, 50.0), outage(600.0, 40.0))
    segments, events = history(twice, (2,), 2000.0)
    more = weigh(segments, events, 2, 1000.0, placing, strata)
    assert sum(w for t, w in more.years[0].items() if len(t) == 2) == pytest.approx(4.0)
    assert more.years[0][(lost,)] == pytest.approx(150.0)


def test_a_stratum_too_rare_has_the_rates_of_one_as_bad() -> None:
    """One slow replica among many visits is taken as one lost, never as none."""
    steps = in_order(
        outage(100.0, 500.0),
        (Transition(700.0, 0, Action.PACE, "slow", 1.3), Transition(710.0, 0, Action.PACE, "slow", 1.0)),
    )
    segments, _ = history(steps, (2,), 1000.0)
    found = usual_strata(segments, (1,), most=2)
    slow = stratum_of([Ability(pace=1.3), WHOLE], (2,))
    assert found[slow] == ((LOST, WHOLE),)
    assert usual_strata(segments, (1,), most=3)[slow] == slow
