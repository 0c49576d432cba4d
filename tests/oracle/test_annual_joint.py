"""Joining responses against simulating the same faults through, request by request."""

from __future__ import annotations

from dataclasses import replace
from math import hypot, sqrt

import pytest

import sim.study.annual.annual as study
from sim.study.annual.annual import Annual, annual
from sim.study.annual.counts import column
from sim.study.annual.joint import Joint, half_width, jointly
from sim.study.annual.years import Years
from sim.units import HOUR_S
from tests.annual_cases import busy, drawn_outages

pytestmark = pytest.mark.long

Z = 4.5
SCENARIO = busy({"workload.arrivals.rate_rps": 0.21})  # both replicas at three quarters of what they can
REPLICATIONS = 24
FAST_S, FAST_MTBF_S, FAST_RUNS = 60 * HOUR_S, 24 * HOUR_S, 32  # per replica: a fault of the cluster every 12 h
RARE_S, RARE_MTBF_S, RARE_RUNS = 336 * HOUR_S, 112 * HOUR_S, 8  # every 56 h
RARE_YEARS = 400
SAVING = 50.0


def years(span_s: float, mtbf_s: float, runs: int, without: str = "") -> Years:
    """Realisations of one span each, which is called a year; faults of one cause may be left out."""
    drawn = (drawn_outages(seed, span_s, mtbf_s) for seed in range(runs))
    return Years([tuple(step for step in steps if step.cause != without) for steps in drawn], 1, (2,), span_s)


@pytest.fixture(scope="module")
def fast() -> Joint:
    """Many faults, simulated through."""
    return jointly(SCENARIO, years(FAST_S, FAST_MTBF_S, FAST_RUNS), first_replication=1000)


def joined(without: str = "") -> Annual:
    """The same faults, joined."""
    return annual(SCENARIO, years(FAST_S, FAST_MTBF_S, FAST_RUNS, without), replications=REPLICATIONS)


def score(found: Annual, joint: Joint) -> float:
    """Standard errors between the two, for the same faults and other requests: of the runs, and of the responses."""
    differences = joint.excess[:, column("bad")] - found.bad_by_faults.mean(axis=1)
    responses = found.bad_by_faults.mean(axis=0)
    error = hypot(
        float(differences.std(ddof=1)) / sqrt(len(differences)), float(responses.std(ddof=1)) / sqrt(len(responses))
    )
    return float(differences.mean()) / error


def test_joined_agrees_with_simulated_through(fast: Joint) -> None:
    """Bad requests because of faults are the same, by two ways that share nothing but engine and faults."""
    found = joined()
    assert fast.excess[:, column("bad")].mean() > 100.0
    assert abs(score(found, fast)) < Z
    assert not found.notes


def test_without_queues_and_backlogs_it_does_not(fast: Joint, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rates of the strata alone, as if queues filled and drained at once, it is seen to be wrong."""
    usual = study.run_episodes

    def rates_alone(*arguments: object) -> object:
        found = usual(*arguments)  # type: ignore[arg-type]
        return {key: tuple(replace(item, impulse=0.0 * item.impulse) for item in items) for key, items in found.items()}

    monkeypatch.setattr(study, "run_episodes", rates_alone)
    assert abs(score(joined(), fast)) > Z


def test_without_one_cause_it_does_not(fast: Joint) -> None:
    """Leaving out the longer outages is seen as well."""
    assert score(joined("hardware"), fast) > Z


def test_joining_saves_a_factor_of_fifty_at_a_fault_every_56_hours(capsys: pytest.CaptureFixture[str]) -> None:
    """Work for an interval of the same width: engine events, and processor time, of the runs with faults alone."""
    joint = jointly(SCENARIO, years(RARE_S, RARE_MTBF_S, RARE_RUNS), first_replication=1000)
    found = annual(SCENARIO, years(RARE_S, RARE_MTBF_S, RARE_YEARS), replications=REPLICATIONS)
    metric = found.metric("bad_requests_by_faults_per_year")
    assert metric.high is not None
    assert metric.value is not None
    narrower = (half_width(joint.counts, "bad") / (metric.high - metric.value)) ** 2
    events = narrower * joint.work / found.work["engine_events"]
    seconds = narrower * joint.cpu_s / found.work["cpu_s"]
    with capsys.disabled():
        print(f"\nwork saved at the same half-width: {events:,.0f} x in engine events, {seconds:,.0f} x in CPU time")  # noqa: T201
    assert events > SAVING
    assert seconds > SAVING
    assert events == pytest.approx(found.work["saving"], rel=0.9)  # what the study itself says, from eight runs
