"""Golden closed forms of failures (reference/reliability.md 7), reached through requests, steps and clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, pairwise

import numpy as np
import pytest

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan
from sim.faults.transition import Action, Transition
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.unit.test_engine_states import LAW, LIMITS, STEP_S

# ---- G10: work that starts from scratch after every failure ---------------------------------------------------------

FAULT_MEAN_S, WORK_S, RESTART_S, G10_S = 3600.0, 1800.0, 348.0, 2561.151577


def failures(seed: int, until_s: float, fatal: Action) -> Iterator[Transition]:
    """Failures at exponential times of service, each with a restart."""
    rng = np.random.default_rng(seed)
    now_s = float(rng.exponential(FAULT_MEAN_S))
    while now_s < until_s:
        if fatal is Action.PAUSE:
            yield Transition(now_s, 0, Action.PAUSE, "fault", RESTART_S)
        else:
            yield Transition(now_s, 0, Action.DOWN, "fault")
            yield Transition(now_s + RESTART_S, 0, Action.UP, "fault")
        now_s += RESTART_S + float(rng.exponential(FAULT_MEAN_S))


def from_scratch(fatal: Action = Action.DOWN, seed: int = 1, requests: int = 8000) -> np.ndarray:
    """Seconds from request to answer of one client after another; each answer takes 1800 s of steps."""
    horizon_s = 1.3 * requests * G10_S
    client = ClientPolicy(max_retries=1000, retry_backoff_s=RESTART_S, retry_backoff_factor=1.0, request_timeout_s=1e9)
    plan = ClusterPlan(
        LIMITS, 1, 1, horizon_s, client=client, record_requests=True, max_requests=requests,
        transitions=tuple(failures(seed, horizon_s, fatal)),
    )  # fmt: skip
    draws = (RequestDraw(0.0, 1, int(WORK_S / STEP_S)) for _ in range(requests))
    outcome = Cluster(plan, LAW, Load(draws, concurrency=1), Streams(seed)).run()
    assert outcome.record.totals.completed == requests
    return np.array([row[5] for row in outcome.record.rows or ()])


def off_by(values: np.ndarray, mean: float) -> float:
    """Distance of a sample mean from a mean, in standard errors."""
    return float(abs(values.mean() - mean) / (values.std(ddof=1) / np.sqrt(len(values))))


def test_restart_from_scratch() -> None:
    """G10: 1800 s of work, failures every 3600 s, 348 s to restart: (1/L + R)(e^(LD) - 1) = 2561.15 s in the mean."""
    assert off_by(from_scratch(), G10_S) < 4.5


def test_restart_from_scratch_needs_the_loss_of_work() -> None:
    """Negative twin: where a failure only pauses the steps, the mean is some 1974 s, and the same test fails."""
    assert off_by(from_scratch(Action.PAUSE), G10_S) > 20.0


# ---- G12: the backlog after an outage -------------------------------------------------------------------------------

DOWN_AT_S = 500.0


def backlog(load: float, changes: Sequence[Transition], horizon_s: float) -> Outcome:
    """Requests of one step each, one at a time, at even intervals: as near to a fluid as steps allow."""
    gap_s = STEP_S / load
    client = ClientPolicy(max_retries=10_000, retry_backoff_s=1.0, retry_backoff_factor=1.0, request_timeout_s=1e9)
    plan = ClusterPlan(
        replace(LIMITS, max_num_seqs=1), 1, 1, horizon_s, client=client, record_requests=True,
        transitions=tuple(changes),
    )  # fmt: skip
    draws = (RequestDraw(index * gap_s, 1, 1) for index in count())
    return Cluster(plan, LAW, Load(draws), Streams(1)).run()


def drain_s(outcome: Outcome, up_s: float) -> float:
    """Seconds from the end of the outage until the replica first has nothing to do."""
    ends = sorted(row[0] + row[5] for row in outcome.record.rows or () if row[0] + row[5] > up_s)
    return next(end - up_s for end, after in pairwise(ends) if after - end > 1.01 * STEP_S)


OUTAGE = (Transition(DOWN_AT_S, 0, Action.DOWN, "fault"), Transition(DOWN_AT_S + RESTART_S, 0, Action.UP, "fault"))
REST = (Transition(DOWN_AT_S, 0, Action.PAUSE, "fault", RESTART_S),)


@pytest.mark.parametrize("changes", [OUTAGE, REST])
def test_a_backlog_drains(changes: tuple[Transition, ...]) -> None:
    """G12: after 348 s without service at a load of 0.7 the backlog is gone 812 s later, dead or paused alike."""
    outcome = backlog(0.7, changes, 3000.0)

    assert drain_s(outcome, DOWN_AT_S + RESTART_S) == pytest.approx(812.0, abs=5.0 * STEP_S)
    assert outcome.record.totals.failed == 0


def test_a_backlog_at_another_load_takes_another_time() -> None:
    """Negative twin: at a load of 0.9 it takes 3132 s."""
    outcome = backlog(0.9, OUTAGE, 6000.0)

    assert drain_s(outcome, DOWN_AT_S + RESTART_S) == pytest.approx(3132.0, abs=20.0 * STEP_S)


def test_requests_delayed_by_an_outage() -> None:
    """G12: requests of D / (1 - load) = 1160 s are delayed."""
    outcome = backlog(0.7, REST, 3000.0)
    delayed = sum(row[5] > 1.01 * STEP_S for row in outcome.record.rows or ())

    assert delayed * STEP_S / 0.7 == pytest.approx(1160.0, abs=5.0 * STEP_S)


# ---- G18: how long a client tries -----------------------------------------------------------------------------------


def waited_s(client: ClientPolicy) -> float:
    """From the first attempt at a dead replica until the request has failed."""
    plan = ClusterPlan(LIMITS, 1, 1, 100.0, client=client, transitions=(Transition(0.0, 0, Action.DOWN, "fault"),))
    outcome = Cluster(plan, LAW, Load(iter([RequestDraw(1.0, 1, 1)])), Streams(1)).run()
    assert outcome.record.totals.failed == 1
    assert outcome.record.totals.attempts == 1 + client.max_retries
    return outcome.end_s - 1.0


def test_the_waits_of_five_retries() -> None:
    """G18: 50 ms x 1.5^i for i = 0..4 is 659.375 ms."""
    assert waited_s(ClientPolicy()) == pytest.approx(0.659375, abs=1e-12)


def test_the_waits_depend_on_growth_and_cap() -> None:
    """Negative twins: without growth 250 ms, capped at 100 ms 50 + 75 + 3 x 100 = 425 ms."""
    assert waited_s(ClientPolicy(retry_backoff_factor=1.0)) == pytest.approx(0.25, abs=1e-12)
    assert waited_s(ClientPolicy(retry_backoff_max_s=0.1)) == pytest.approx(0.425, abs=1e-12)
