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
from tests.study_cases import tiny
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
