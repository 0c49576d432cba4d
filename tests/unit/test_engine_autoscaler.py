"""Replicas that come and go: when, how long it takes, and what is paid."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest

import sim
from sim.engine.cluster import Outcome
from sim.engine.plan import AutoscalerPlan, ClientPolicy
from sim.errors import ScenarioError
from sim.faults.transition import Action, Transition
from sim.simulation.run import run_replication
from tests.study_cases import QUICK_RESTART, tiny
from tests.unit.test_engine_states import STEP_S, plan_of, run, seconds_in

PLAN = AutoscalerPlan(
    min_replicas=1, max_replicas=3, initial_replicas=1, target=4.0, interval_s=10.0, provision_s=60.0, restart_s=30.0,
    scale_down_cooldown_s=50.0,
)  # fmt: skip


def scaled(requests: list[tuple[float, int, int]], *transitions: Transition, **changes: object) -> Outcome:
    plan = replace(PLAN, **changes)  # type: ignore[arg-type]
    client = ClientPolicy(request_timeout_s=1e9)
    return run(plan_of(*transitions, replicas=3, autoscaler=plan, client=client, horizon_s=600.0), requests)


LONG = [(1.0 + 0.001 * index, 10, 400) for index in range(8)]  # 8 at a time, 100 s of steps, then nothing
LATE = (500.0, 10, 1)  # keeps the run going


def test_a_replica_more_takes_a_look_nodes_and_a_start() -> None:
    """8 requests want two replicas: seen at 10 s, nodes at 70 s, serving at 100 s; given back when it is not needed.

    The requests end at 101 s. A step down may come 50 s after the step up at 10 s, so at the next look, at 110 s; the
    replica drains, and is given back at 120 s.
    """
    outcome = scaled([*LONG, LATE])

    assert outcome.record.totals.completed == 9
    end_s = outcome.end_s
    assert {
        (index, str(name)): seconds for index, name, _, seconds in outcome.conditions if index < 2
    } == pytest.approx(
        {
            (0, "up"): 110.0,
            (0, "draining"): 10.0,
            (0, "off"): end_s - 120.0,
            (1, "off"): 100.0,
            (1, "up"): end_s - 100.0,
        }
    )
    assert outcome.record.totals.off_s == pytest.approx(100.0 + outcome.end_s - 120.0 + outcome.end_s)
    # the first one is paid until 120 s, the second one from its nodes on
    assert outcome.record.totals.billed_s == pytest.approx(120.0 + outcome.end_s - 70.0)


def test_the_bounds_hold() -> None:
    """40 requests want ten replicas and get three."""
    outcome = scaled([(1.0 + 0.001 * index, 10, 400) for index in range(40)] + [LATE])
    serving = sum(seconds > 0.0 for _, condition, _, seconds in outcome.conditions if condition == "up")

    assert serving == 3
    assert outcome.record.totals.completed == 41
    assert outcome.record.totals.off_s == pytest.approx(2 * 100.0 + outcome.end_s - 420.0)


def test_a_draining_replica_loses_nothing() -> None:
    """Scaled down at the first look with requests on all replicas, everything completes; none is killed."""
    requests = [(1.0 + 0.001 * index, 10, 200) for index in range(6)]
    outcome = scaled([*requests, LATE], initial_replicas=3, target=6.0, scale_down_cooldown_s=0.0)

    assert outcome.record.totals.completed == 7
    assert outcome.record.totals.killed == 0
    assert seconds_in(outcome)["draining"] > 2 * 30.0
    # two are given back at 60 s: the look after the last of 200 steps of 0.25 s
    assert outcome.record.totals.billed_s == pytest.approx(outcome.end_s + 2 * 60.0)


def test_nodes_that_are_not_there_are_asked_for_again() -> None:
    """With a chance of one half the wait for nodes is a whole multiple of 60 s, longer than that for some seed."""
    outcome = scaled([(1.0, 10, 1600), *LONG, LATE], success_prob=0.05)
    up = [seconds for index, condition, _, seconds in outcome.conditions if index and condition == "up"]

    assert not up or max(up) < 500.0
    certain = scaled([(1.0, 10, 1600), *LONG, LATE], success_prob=1.0)
    assert outcome.record.totals.billed_s < certain.record.totals.billed_s


def test_faults_do_not_meet_replicas_that_are_not_there() -> None:
    """DOWN and UP of a replica that was never provisioned change nothing."""
    hits = (Transition(5.0, 2, Action.DOWN, "x"), Transition(6.0, 2, Action.UP, "x"))
    with_hits, without = scaled([*LONG, LATE], *hits), scaled([*LONG, LATE])

    assert with_hits.record.rows == without.record.rows
    assert with_hits.outages == ()


def test_a_replica_given_out_again_stands_on_other_nodes() -> None:
    """A restart that the fleet has for nodes lost before it was given back does not kill what runs there now.

    The first replica is given back when its work is done; lost in the fleet's plan while it is off, it comes again for
    more work at 310 s. The plan's UP, and a hang before it, are about the old nodes; a fault after it is real.
    """
    again = [(300.0 + 0.001 * index, 10, 400) for index in range(8)] + [(315.0, 10, 200)] * 3
    quick = {"provision_s": 0.0, "restart_s": 0.0, "scale_down_cooldown_s": 20.0}
    plain = scaled([*LONG, *again, LATE], **quick)
    old = [Transition(at_s, 0, action, "x") for at_s, action in ((200.0, Action.DOWN), (330.0, Action.UP))]
    hidden = Transition(320.0, 0, Action.HANG, "x")
    struck = Transition(340.0, 0, Action.DOWN, "x")

    assert any(index == 0 and from_s < 200.0 and to_s == 310.0 for index, from_s, to_s in plain.released)  # type: ignore[operator]
    met = scaled([*LONG, *again, LATE], *old, hidden, **quick)
    assert (met.record.rows, met.outages) == (plain.record.rows, ())
    lost = scaled([*LONG, *again, LATE], *old, struck, **quick)
    assert [(replica, down_s) for replica, down_s, _ in lost.outages] == [(0, 340.0)]
    assert lost.record.totals.killed > 0


def test_the_price_of_elasticity_is_paid_by_replicas_that_come_later() -> None:
    """Steps that always take twice as long, as told at the start, do so on a replica provisioned at 10 s too."""
    usual = [Transition(0.0, replica, Action.PACE, "elastic", 2.0) for replica in range(3)]
    quick = {"provision_s": 0.0, "restart_s": 0.0, "scale_down_cooldown_s": 1e9}
    outcome = scaled([*LONG, (11.0, 10, 20), LATE], *usual, **quick)
    up = {index for index, name, _, _ in outcome.conditions if name == "up"}
    slow = {index for index, name, _, _ in outcome.conditions if name == "slow"}

    assert slow == {0, 1, 2}
    assert up <= {0}, "never at the pace of design"


def test_ranks_that_return_to_a_complete_replica_change_nothing() -> None:
    """An elastic replica lost ranks, was given back, and came again whole: the GROW of the fleet's plan is idle."""
    gone = Transition(200.0, 0, Action.SHRINK, "x", ranks=(0,))
    back = Transition(330.0, 0, Action.GROW, "x", ranks=(0,))
    again = [(300.0 + 0.001 * index, 10, 400) for index in range(8)]
    quick = {"provision_s": 0.0, "restart_s": 0.0, "scale_down_cooldown_s": 20.0}

    with_it, without = (scaled([*LONG, *again, LATE], *steps, **quick) for steps in ((gone, back), ()))
    assert with_it.record.rows == without.record.rows
    assert "degraded" not in seconds_in(with_it)


def test_faults_of_replicas_that_were_given_back_are_no_node_faults() -> None:
    """Of two faults in an autoscaled scenario the one at the replica that nobody has met no replica."""
    scenario = tiny(
        QUICK_RESTART
        | {
            "deployment.autoscaling": {"max_replicas": 2, "target": 1000.0},
            "reliability.inject": [{"at_s": 20.0, "node": 0}, {"at_s": 25.0, "node": 1}],
            "deployment.spare_nodes": 2,
        }
    )
    outcome = run_replication(scenario, 0)

    assert (outcome.node_faults, outcome.idle_hits) == (1, 1)
    assert [(strike.node, strike.replica) for strike in outcome.strikes] == [(0, 0), (1, None)]
    assert [replica for replica, _, _ in outcome.outages] == [0]


def test_without_an_autoscaler_everything_is_paid() -> None:
    """Replica-seconds paid are replicas x time."""
    outcome = run(plan_of(replicas=3), [(0.0, 10, 40)])

    assert outcome.record.totals.billed_s == pytest.approx(3 * 40 * STEP_S)


@pytest.mark.parametrize("load", [1, 4, 5, 8, 9])
def test_how_many_are_wanted(load: int) -> None:
    """ceil(requests / 4), at once where nodes and start take no time."""
    requests = [(1.0, 10, 400)] * load
    outcome = scaled([*requests, LATE], provision_s=0.0, restart_s=0.0, scale_down_cooldown_s=1e9)

    assert outcome.record.totals.billed_s == pytest.approx(
        outcome.end_s + (ceil(load / 4) - 1) * (outcome.end_s - 10.0)
    )


def test_a_scenario_has_an_autoscaler() -> None:
    """Billed GPU hours are in the result, and `replicas` must lie within the bounds."""
    scaling = {"max_replicas": 2, "target": 1000.0}
    result = sim.simulate(tiny({"deployment.autoscaling": scaling}), workers=1)
    names = {metric.metric: metric.value for metric in result.metrics}

    assert names["gpu_hours"] is not None
    assert names["billed_gpus_mean"] == pytest.approx(names["gpu_hours"] * 3600.0 / seconds_of(result))
    with pytest.raises(ScenarioError, match="must be between"):
        tiny({"deployment.autoscaling": scaling, "deployment.replicas": 3})


def seconds_of(result: object) -> float:
    run_section = result.scenario.run  # type: ignore[attr-defined]
    return float(run_section.horizon_s - run_section.warmup_s)
