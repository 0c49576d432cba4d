"""What must hold for any run: nothing is lost, nothing hangs, nothing depends on what it should not depend on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy
from sim.faults.phases import exponential
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.engine_cases import Case, cases
from tests.fault_cases import played


def run(case: Case, samples: int = 1000) -> Outcome:
    load = Load(case.draws(), case.concurrency)
    return Cluster(replace(case.plan, record_requests=True), case.law, load, Streams(case.seed)).run(samples=samples)


def assert_identical(left: Outcome, right: Outcome) -> None:
    assert left.record.rows == right.record.rows
    assert left.record.totals == right.record.totals
    assert left.record.opened == right.record.opened
    assert (left.end_s, left.unfinished, left.outages) == (right.end_s, right.unfinished, right.outages)
    for name, histogram in left.record.histograms.items():
        other = right.record.histograms[name]
        assert np.array_equal(histogram.counts, other.counts)
        assert (histogram.sum, histogram.zeros, histogram.below) == (other.sum, other.zeros, other.below)


def assert_everybody_leaves(case: Case) -> None:
    plan = replace(case.plan, horizon_s=1e7, client=ClientPolicy(request_timeout_s=1e7), warmup_s=0.0)
    outcome = run(replace(case, plan=plan))
    totals, rows = outcome.record.totals, outcome.record.rows

    assert rows is not None
    assert totals.completed + totals.refused == totals.arrived == case.count
    assert outcome.unfinished == 0
    if rows and totals.refused == 0 and case.concurrency is None:
        assert outcome.end_s == pytest.approx(max(row[0] + row[5] for row in rows), rel=1e-12)


either = st.sampled_from([(False, False), (True, False), (True, True)]).flatmap(
    lambda on: cases(tight=True, faults=True, caching=on[0], tiers=on[1])
)


@given(either, st.sampled_from([0.013, 1.0, 7.77, 50.0]))
@settings(max_examples=200)
def test_nothing_is_lost_at_any_end_of_run(case: Case, horizon_s: float) -> None:
    """Requests in = completed + failed + refused + abandoned + unfinished, and all identities, wherever a run ends."""
    cut = replace(case, plan=replace(case.plan, horizon_s=horizon_s, warmup_s=min(case.plan.warmup_s, 0.5 * horizon_s)))
    outcome = cut.run()
    totals = outcome.record.totals

    assert totals.arrived == totals.completed + totals.failed + totals.refused + totals.abandoned + outcome.unfinished
    still_backing_off = totals.arrived - totals.refused + totals.retries - totals.attempts
    assert 0 <= still_backing_off <= outcome.unfinished


@given(either, st.sampled_from([1, 7, 100]))
@settings(max_examples=80)
def test_sampling_changes_nothing(case: Case, samples: int) -> None:
    """The same run with another number of timeline samples is the same bit for bit."""
    assert_identical(run(case), run(case, samples))


@given(either)
@settings(max_examples=80)
def test_a_seed_fixes_the_run(case: Case) -> None:
    """The same seed twice gives the same run bit for bit."""
    assert_identical(run(case), run(case))


@given(cases())
@settings(max_examples=60)
def test_a_fault_rate_of_zero_is_no_faults(case: Case) -> None:
    """A fleet in which nothing fails changes nothing, whatever else its plan says."""
    nodes, horizon_s = (case.plan.nodes_per_replica,) * case.plan.replicas, case.plan.horizon_s
    idle = played(nodes=nodes, repair=exponential(7.0), detect_s=0.0, restart_s=1.0, horizon_s=horizon_s)
    assert_identical(run(case), run(replace(case, plan=replace(case.plan, transitions=idle))))


faultless = st.sampled_from([(False, False), (True, False), (True, True)]).flatmap(
    lambda on: cases(tight=True, caching=on[0], tiers=on[1])
)


@given(faultless)
@settings(max_examples=150)
def test_no_deadlock_when_the_pool_barely_holds_one_request(case: Case) -> None:
    """Without faults and timeouts, whatever is not refused completes, and the run ends when the last request leaves."""
    assert_everybody_leaves(case)


def endless(case: Case) -> Iterator[RequestDraw]:
    rng = Streams(case.seed).generator("endless")
    for _ in count():
        yield RequestDraw(0.0, int(rng.integers(1, 200)), int(rng.integers(1, 200)))


@given(cases(faults=True))
@settings(max_examples=40)
def test_a_closed_loop_outlives_outages_and_refusals(case: Case) -> None:
    """Callers that are refused, or find every replica down, do not spin at one instant: the horizon is reached."""
    client = ClientPolicy(max_retries=0, retry_backoff_s=0.0, request_timeout_s=5.0)
    plan = replace(case.plan, client=client, horizon_s=20.0, warmup_s=0.0)
    outcome = Cluster(plan, case.law, Load(endless(case), 3), Streams(case.seed)).run()

    assert outcome.end_s == 20.0


@pytest.mark.long
@given(faultless)
@settings(max_examples=10_000)
def test_no_deadlock_at_length(case: Case) -> None:
    """The same in ten thousand random scenarios."""
    assert_everybody_leaves(case)


@pytest.mark.long
@given(either, st.sampled_from([0.013, 1.0, 7.77, 50.0]), st.sampled_from([1, 7, 100]))
@settings(max_examples=1500)
def test_any_run_at_length(case: Case, horizon_s: float, samples: int) -> None:
    """Identities at any horizon, and independence of sampling, over many more clusters."""
    cut = replace(case, plan=replace(case.plan, horizon_s=horizon_s, warmup_s=min(case.plan.warmup_s, 0.5 * horizon_s)))
    assert_identical(run(cut), run(cut, samples))
