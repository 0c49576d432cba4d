"""Replicas that hang, die, drain, slow down, pause and lose ranks at any time: nothing is lost from the books."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits
from sim.faults.transition import Action, Transition
from tests.engine_cases import UNEVEN, Case, cases
from tests.properties.test_engine_disaggregation import disaggregated
from tests.properties.test_engine_runs import assert_identical, run
from tests.properties.test_engine_spans import assert_same_requests
from tests.transition_cases import checked_run, transitions, troubled

any_cluster = st.one_of(
    troubled(cases(tight=True)),
    troubled(cases()),
    troubled(cases(caching=True, tight=True)),
    troubled(cases(caching=True, tiers=True, tight=True)),
    troubled(cases(drafting=True)),
    troubled(cases(flavours=True, caching=True)),
    troubled(disaggregated()),
    troubled(disaggregated(tight=True, caching=True)),
)


def assert_balanced(case: Case) -> None:
    outcome = checked_run(case)
    totals = outcome.record.totals

    assert totals.arrived == totals.completed + totals.failed + totals.refused + totals.abandoned + outcome.unfinished
    assert totals.migrated <= totals.killed
    if case.plan.in_flight != "migrate":
        assert totals.migrated == 0


@given(any_cluster)
@settings(max_examples=300, deadline=None)
def test_identities_hold_at_every_instant(case: Case) -> None:
    """Requests, tokens, blocks, time and Little's law balance at any instant, whatever befalls which replica when."""
    assert_balanced(case)


@pytest.mark.long
@given(any_cluster)
@settings(max_examples=10_000, deadline=None)
def test_identities_hold_at_length(case: Case) -> None:
    """The same in ten thousand random clusters."""
    assert_balanced(case)


@given(any_cluster)
@settings(max_examples=60, deadline=None)
def test_a_seed_fixes_the_run(case: Case) -> None:
    """The same seed twice gives the same run bit for bit, jitter of retries included."""
    assert_identical(run(case), run(case))


@given(st.one_of(cases(faults=True), cases(caching=True, tiers=True, faults=True), disaggregated(faults=True)))
@settings(max_examples=60, deadline=None)
def test_transitions_after_the_end_change_nothing(case: Case) -> None:
    """What a player has to play after the horizon leaves the run as it is without, bit for bit."""
    late = Transition(case.plan.horizon_s + 1.0, 0, Action.DOWN, "late")
    changes = (*case.plan.transitions, late)
    assert_identical(run(case), run(replace(case, plan=replace(case.plan, transitions=changes))))


comparable = st.one_of(
    troubled(cases(caching=True)),  # a law without round sums
    troubled(cases(caching=True, tiers=True, tight=True)),
    troubled(cases(drafting=True)),
)


@given(comparable)
@settings(max_examples=150, deadline=None)
def test_spans_equal_single_steps(case: Case) -> None:
    """Request times, counters and time integrals agree to 1e-9 with one event per step, whatever befalls replicas."""
    assert_same_requests(case)


def test_ranks_that_return_inside_a_span_count_from_the_next_step() -> None:
    """One of three ranks decodes when another comes back at 2.5 s: spans and single steps agree (they did not)."""
    limits = EngineLimits(1, 1, 1, 23, 10_000, data_parallel_size=3, enable_prefix_caching=True, affinity_guard=0)
    gone = tuple(Transition(0.0, 0, Action.SHRINK, "a", ranks=(rank,)) for rank in (0, 1))
    back = Transition(2.5, 0, Action.GROW, "a", ranks=(0,))
    client = ClientPolicy(max_retries=0, request_timeout_s=0.7001234567)
    plan = ClusterPlan(limits, 1, 1, 3.0, router="round_robin", client=client, transitions=(*gone, back))
    law = replace(UNEVEN, attention_cap_tokens=0)
    case = Case(plan, law, seed=0, rate_rps=0.5, count=3, max_input=1, max_output=22, concurrency=None)
    assert_same_requests(case)


@pytest.mark.long
@given(comparable)
@settings(max_examples=2000, deadline=None)
def test_spans_equal_single_steps_at_length(case: Case) -> None:
    """The same in two thousand random clusters."""
    assert_same_requests(case)


@given(comparable)
@settings(max_examples=60, deadline=None)
def test_looking_changes_nothing(case: Case) -> None:
    """Settling the books at any instant leaves requests and counters as they are, but for rounding."""
    looked, unseen = checked_run(case), run(case)

    assert looked.record.rows == [pytest.approx(row, rel=1e-9, abs=1e-9) for row in unseen.record.rows or ()]
    assert looked.record.totals.emitted_tokens == unseen.record.totals.emitted_tokens
    assert looked.record.totals.kv_token_s == pytest.approx(unseen.record.totals.kv_token_s, rel=1e-9, abs=1e-9)


@given(st.one_of(cases(), cases(tight=True), cases(caching=True, tight=True), cases(drafting=True)), st.data())
@settings(max_examples=150, deadline=None)
def test_gaps_reach_across_pauses_and_migrations(case: Case, data: st.DataObject) -> None:
    """Gaps of completed requests add up to the time from first to last token, through pauses and migrations too."""
    client = ClientPolicy(request_timeout_s=1e9, max_retries=0)
    plan = replace(case.plan, horizon_s=1e7, warmup_s=0.0, client=client, in_flight="migrate")
    changes = data.draw(transitions(plan, within_s=2.0 * case.count / case.rate_rps + 3.0))
    keep = (Action.PAUSE, Action.PACE, Action.DRAIN, Action.ADMIT, Action.SHRINK, Action.DOWN, Action.UP)
    changes = tuple(change for change in changes if change.action in keep)
    last_s = max((change.at_s for change in changes), default=0.0)
    changes += tuple(Transition(last_s, replica, Action.UP, "end") for replica in range(plan.replicas))
    outcome = run(replace(case, plan=replace(plan, transitions=changes), concurrency=None))

    totals, rows, gaps = outcome.record.totals, outcome.record.rows or (), outcome.record.histograms["itl_s"]
    assert totals.completed + totals.refused + totals.failed == totals.arrived
    if totals.lost_tokens == 0:  # nobody with output found every replica down
        assert gaps.count == sum(row[2] - 1 for row in rows)
        assert gaps.sum == pytest.approx(sum(row[5] - row[4] for row in rows), rel=1e-9, abs=1e-9)
