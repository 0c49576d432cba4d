"""Many steps in one event give the same requests as one event per step."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from sim.engine.cluster import Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits
from tests.engine_cases import Case, KinkedLaw, cases
from tests.exact_cases import run_exactly

COUNTERS = (
    "completed", "failed", "refused", "abandoned", "emitted_tokens", "lost_tokens", "preemptions", "steps",
    "prefilled_tokens", "recompute_tokens", "admitted_prompt_tokens", "cached_prompt_tokens", "forgone_prompt_tokens",
    "fetched_tokens", "host_tokens", "remote_tokens", "swapped_tokens",
    "recompute_preempted_tokens", "recompute_failed_tokens", "recompute_withdrawn_tokens",
    "recompute_evicted_tokens", "recompute_elsewhere_tokens", "recompute_broken_tokens",
)  # fmt: skip
INTEGRALS = ("busy_s", "idle_s", "down_s", "prefill_step_s", "bubble_s", "sequence_s", "kv_token_s", "waiting_s")

PLAIN = ClusterPlan(
    limits=EngineLimits(
        max_num_seqs=4, max_num_batched_tokens=20, block_size=4, num_kv_blocks=60, max_model_len=10_000
    ),
    replicas=1,
    nodes_per_replica=1,
    horizon_s=20.0,
    router="round_robin",
)


def assert_same_requests(case: Case) -> None:
    """Two runs agree in floats; where they part, because a tie was rounded two ways, they agree in fractions."""
    spans, single = case.run(coalesce=True), case.run(coalesce=False)
    try:
        assert_same(spans, single)
    except AssertionError:
        assert_same(run_exactly(case, coalesce=True), run_exactly(case, coalesce=False))


def assert_same(spans: Outcome, single: Outcome) -> None:
    left, right = spans.record, single.record

    assert left.rows is not None
    assert right.rows is not None
    assert len(left.rows) == len(right.rows)
    for a, b in zip(left.rows, right.rows, strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-9)
    for totals, others in ((left.totals, right.totals), (left.opened, right.opened)):
        for name in COUNTERS:
            assert getattr(totals, name) == getattr(others, name), name
        for name in INTEGRALS:
            assert getattr(totals, name) == pytest.approx(getattr(others, name), rel=1e-9, abs=1e-9), name
    assert left.kv_peak_tokens == right.kv_peak_tokens
    itl = left.histograms["itl_s"]
    assert itl.count == right.histograms["itl_s"].count
    assert itl.sum == pytest.approx(right.histograms["itl_s"].sum, rel=1e-9)
    assert spans.end_s == pytest.approx(single.end_s, rel=1e-9)


@given(cases())
@settings(max_examples=80)
def test_spans_equal_single_steps(case: Case) -> None:
    """Request times, counters and time integrals agree to 1e-9, in the whole run and up to the warm-up."""
    assert_same_requests(case)


@given(cases(tight=True))
@settings(max_examples=80)
def test_spans_equal_single_steps_under_kv_pressure(case: Case) -> None:
    """The same with a KV pool barely larger than one request, where preemption is the rule."""
    assert_same_requests(case)


@given(cases(faults=True))
@settings(max_examples=80)
def test_spans_equal_single_steps_with_faults(case: Case) -> None:
    """The same when nodes fail, replicas restart and clients retry."""
    assert_same_requests(case)


@given(cases(tight=True, faults=True))
@settings(max_examples=80)
def test_spans_equal_single_steps_with_everything(case: Case) -> None:
    """The same with little KV, faults, timeouts, pipelines, ranks, and closed loops at once."""
    assert_same_requests(case)


@given(cases(caching=True), cases(caching=True, tight=True, faults=True))
@settings(max_examples=80)
def test_spans_equal_single_steps_with_prefix_caching(roomy: Case, everything: Case) -> None:
    """The same when cached blocks make room inside spans: what is found, and what is evicted in the end, agree too."""
    for case in (roomy, everything):
        assert_same_requests(case)


@given(cases(caching=True, tiers=True), cases(caching=True, tight=True, faults=True, tiers=True))
@settings(max_examples=80)
def test_spans_equal_single_steps_with_tiers_below_the_cache(roomy: Case, everything: Case) -> None:
    """The same when evicted blocks go to host memory and a remote pool, and come back over links."""
    for case in (roomy, everything):
        assert_same_requests(case)


@pytest.mark.long
@given(cases(), cases(tight=True), cases(faults=True), cases(tight=True, faults=True))
@settings(max_examples=1000)
def test_spans_equal_single_steps_at_length(roomy: Case, tight: Case, faulty: Case, both: Case) -> None:
    """The same over many more clusters."""
    for case in (roomy, tight, faulty, both):
        assert_same_requests(case)


@pytest.mark.long
@given(cases(caching=True, tiers=True), cases(tight=True, faults=True, caching=True, tiers=True))
@settings(max_examples=1000)
def test_spans_equal_single_steps_with_tiers_at_length(roomy: Case, everything: Case) -> None:
    """The same over many more clusters with tiers."""
    for case in (roomy, everything):
        assert_same_requests(case)


@pytest.mark.long
@given(cases(caching=True), cases(tight=True, caching=True), cases(faults=True, tight=True, caching=True))
@settings(max_examples=1000)
def test_spans_equal_single_steps_with_prefix_caching_at_length(roomy: Case, tight: Case, everything: Case) -> None:
    """The same over many more clusters whose requests begin alike."""
    for case in (roomy, tight, everything):
        assert_same_requests(case)


def test_callers_who_meet_a_boundary_of_another_replica() -> None:
    """Round coefficients, five callers, three replicas of two ranks: boundaries coincide, and floats part."""
    limits = EngineLimits(
        max_num_seqs=1, max_num_batched_tokens=20, block_size=1, num_kv_blocks=34, max_model_len=10_000,
        data_parallel_size=2,
    )  # fmt: skip
    plan = ClusterPlan(
        limits=limits, replicas=3, nodes_per_replica=2, horizon_s=3.0, router="round_robin",
        client=ClientPolicy(max_retries=0, retry_backoff_s=0.0, request_timeout_s=0.7001234567),
    )  # fmt: skip
    case = Case(plan, KinkedLaw(attention_cap_tokens=0), 752, 0.5, 4, 27, 7, concurrency=5)

    with pytest.raises(AssertionError):
        assert_same(case.run(coalesce=True), case.run(coalesce=False))
    assert_same_requests(case)


def test_a_defect_is_not_taken_for_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a span goes on one step beyond the boundary after an arrival, fractions part as floats do."""
    from sim.engine import states

    case = Case(PLAIN, KinkedLaw(), 3, 30.0, 20, 20, 40)
    assert_same_requests(case)
    cut = states.steps_until
    monkeypatch.setattr(states, "steps_until", lambda *span: cut(*span) + 1)
    with pytest.raises(AssertionError):
        assert_same_requests(case)
