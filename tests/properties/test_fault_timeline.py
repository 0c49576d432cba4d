"""What holds for every fleet on the clock of days."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import Common, Elastic, FleetPlan, Recovery, Shop, Spares
from sim.faults.operation import Operation, Strategy, Window
from sim.faults.phases import exponential, lognormal
from sim.faults.tally import SERVING, State, Tally
from sim.faults.timeline import Timeline
from sim.faults.transition import Action, Transition
from sim.streams import Streams
from sim.units import DAY_S, HOUR_S
from tests.fault_cases import fleet

YEAR_S = 365.0 * DAY_S
RANKS = 2


@st.composite
def plans(draw: st.DrawFn) -> FleetPlan:
    """Fleets with everything that may happen, often."""
    replicas, nodes = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rates = st.floats(0.0, 1.0 / (5.0 * DAY_S))
    kinds = (
        FaultClass("crash", draw(rates)),
        FaultClass("reset", draw(rates), exponential(0.3 * HOUR_S), hang_frac=draw(st.sampled_from((0.0, 0.5)))),
        FaultClass("part", draw(rates), lognormal(84 * HOUR_S, 1.0), needs_part=True),
        FaultClass("slow", draw(rates), exponential(12 * HOUR_S), slow_s=exponential(HOUR_S), pace=1.3),
        FaultClass("hidden", draw(rates), exponential(24 * HOUR_S), hidden=exponential(24 * HOUR_S)),
    )
    engines = (
        FaultClass("engine", draw(rates), hang_frac=0.3),
        FaultClass("link", draw(rates), slow_s=exponential(0.4 * HOUR_S), pace=1.3),
    )
    strategy = draw(st.sampled_from(list(Strategy)))
    window = draw(st.sampled_from((None, Window((0, 5), 2 * HOUR_S, 5 * HOUR_S))))
    operations = (
        Operation(
            "upgrade", strategy, DAY_S, 14 * DAY_S, drain_s=300.0, cold=True, pause_s=14.0, soak_s=HOUR_S, window=window
        ),
    )
    return FleetPlan(
        nodes=(nodes,) * replicas,
        recovery=Recovery(10.0, 300.0, (340.0,) * replicas, 60.0, draw(st.sampled_from((1.0, 2.0))), 900.0),
        node_classes=kinds,
        replica_classes=engines,
        spares=Spares(
            draw(st.integers(0, 3)),
            fail=draw(st.booleans()),
            start_s=draw(st.sampled_from((0.0, 600.0))),
            rent_success=draw(st.sampled_from((0.0, 0.5))),
            rent_delay_s=900.0,
        ),
        shop=Shop(
            crews=draw(st.sampled_from((None, 1))),
            parts=draw(st.sampled_from((None, 0, 2))),
            part_lead_s=5 * DAY_S,
            requalify_s=600.0,
            bad_repair=draw(st.sampled_from((0.0, 0.22))),
            refail=exponential(0.4 * DAY_S),
            lemon_faults=draw(st.sampled_from((0, 3))),
            lemon_window_s=60 * DAY_S,
            replace_s=10 * DAY_S,
        ),
        common=Common(
            2, draw(st.sampled_from((0.0, 1e-6))), 2, draw(st.sampled_from((0.0, 1e-7))), exponential(3 * HOUR_S)
        ),
        elastic=draw(st.sampled_from((None, Elastic(RANKS, 2, 11.0, 8.0, 0.03)))),
        operations=draw(st.sampled_from(((), operations))),
        frailty_shape=2.7,
        early_amplitude=draw(st.sampled_from((0.0, 2.0))),
        early_s=30 * DAY_S,
        survivors_fail=draw(st.booleans()),
        injected=((3 * DAY_S, 0, "part"), (3 * DAY_S, replicas * nodes - 1, ""), (40 * DAY_S, 0, "crash")),
    )


def check(plan: FleetPlan, tally: Tally, transitions: tuple[Transition, ...], horizon_s: float) -> None:
    """Times add up, and what is told to the engine is a possible life of every replica."""
    replicas = len(plan.nodes)
    assert sum(tally.up_s) == pytest.approx(horizon_s)
    assert sum(tally.away_s.values()) == pytest.approx(horizon_s)
    assert sum(tally.state_s) == pytest.approx(replicas * horizon_s)
    out = sum(seconds for state, seconds in zip(State, tally.state_s, strict=True) if state not in SERVING)
    assert sum(tally.cause_s.values()) == pytest.approx(out)
    assert sum(k * s for k, s in enumerate(tally.up_s)) == pytest.approx(replicas * horizon_s - out)
    assert "" not in tally.cause_s or tally.cause_s[""] == 0.0
    assert all(a.at_s <= b.at_s for a, b in pairwise(transitions))
    for replica in range(replicas):
        down_s = _life([t for t in transitions if t.replica == replica], horizon_s)
        assert down_s >= 0.0


def _life(steps: list[Transition], horizon_s: float) -> float:
    """Seconds down; fails where a step does not follow from the ones before."""
    up, admits, since_s, down_s = True, True, 0.0, 0.0
    lost: set[int] = set()
    for step in steps:
        if step.action is Action.DOWN:
            assert up, step
            up, since_s = False, step.at_s
            lost.clear()
        elif step.action is Action.UP:
            assert not up, step
            up = admits = True
            down_s += step.at_s - since_s
        elif step.action is Action.DRAIN:
            assert up, step
            assert admits, step
            admits = False
        else:
            assert up, step
            if step.action is Action.SHRINK:
                assert step.ranks, step
                assert not lost.intersection(step.ranks), step
                lost.update(step.ranks)
            elif step.action is Action.GROW:
                assert step.ranks, step
                assert lost.issuperset(step.ranks), step
                lost.difference_update(step.ranks)
    return down_s + (0.0 if up else horizon_s - since_s)


@settings(max_examples=60, deadline=None)
@given(plans(), st.integers(0, 2**31))
def test_times_add_up_and_transitions_are_a_possible_life(plan: FleetPlan, seed: int) -> None:
    """Under everything at once: time in states sums to the horizon, and no step contradicts the one before."""
    line = Timeline(plan, Streams(seed), record=True)
    tally = line.run(0.5 * YEAR_S)
    check(plan, tally, line.transitions, 0.5 * YEAR_S)
    struck = [strike for strike in line.strikes if not (strike.injected and strike.replica is None)]
    assert Counter(strike.cause for strike in struck) == tally.faults
    assert len(line.strikes) - len(struck) == tally.idle_hits
    again = Timeline(plan, Streams(seed), record=True)
    again.run(0.5 * YEAR_S)
    assert again.transitions == line.transitions


@pytest.mark.long
@settings(max_examples=3000, deadline=None)
@given(plans(), st.integers(0, 2**31))
def test_times_add_up_and_transitions_are_a_possible_life_at_length(plan: FleetPlan, seed: int) -> None:
    """The same, often."""
    line = Timeline(plan, Streams(seed), record=True)
    check(plan, line.run(0.5 * YEAR_S), line.transitions, 0.5 * YEAR_S)


def test_nothing_happens_without_rates() -> None:
    """Zero rates: no event, no transition, all up to the horizon."""
    line = Timeline(replace(fleet(3, spares=1), node_classes=()), Streams(1), record=True)
    tally = line.run(YEAR_S)
    assert line.events == 0
    assert line.transitions == ()
    assert tally.up_s == [0.0, 0.0, 0.0, YEAR_S]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3))
def test_more_cold_spares_never_hurt(seed: int, replicas: int, nodes: int) -> None:
    """In the mean over years, each further spare leaves no less time with all replicas; the first one leaves more."""
    shares = []
    for spares in range(4):
        plan = fleet(replicas, 400.0, nodes=nodes, spares=spares, spares_fail=False, restart_s=300.0)
        runs = [Timeline(plan, Streams(seed, index)).run(20 * YEAR_S) for index in range(2)]
        shares.append(sum(run.at_least_frac(replicas) for run in runs) / 2)
    assert shares[1] > shares[0]
    assert all(more >= fewer - 2e-3 for fewer, more in pairwise(shares))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_longer_repairs_never_help(seed: int) -> None:
    """Availability falls with the mean repair time."""
    shares = [
        Timeline(fleet(4, 400.0, exponential(hours * HOUR_S)), Streams(seed)).run(20 * YEAR_S).at_least_frac(4)
        for hours in (6.0, 24.0, 96.0)
    ]
    assert shares[0] > shares[1] > shares[2]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_only_the_clock_is_rescaled(seed: int) -> None:
    """Twice the rates and half of all times give the same life in half the time."""
    slow = fleet(3, 400.0, exponential(24.0 * HOUR_S), nodes=2, spares=1, detect_s=10.0, restart_s=340.0)
    fast = fleet(3, 200.0, exponential(12.0 * HOUR_S), nodes=2, spares=1, detect_s=5.0, restart_s=170.0)
    a, b = Timeline(slow, Streams(seed)).run(YEAR_S), Timeline(fast, Streams(seed)).run(0.5 * YEAR_S)
    assert a.up_s == pytest.approx([2 * seconds for seconds in b.up_s])
    assert a.faults == b.faults


def test_a_larger_fleet_sees_the_same_faults_on_the_same_nodes() -> None:
    """Nodes have streams of their own: a third replica does not change when the first fault of the others comes."""
    small, large = (Timeline(fleet(n, 400.0, restart_s=60.0), Streams(5), record=True) for n in (2, 3))
    small.run(YEAR_S)
    large.run(YEAR_S)
    first = [next(t for t in line.transitions if t.replica == 0) for line in (small, large)]
    assert first[0] == first[1]
