"""Many steps in one event give the same requests as one event per step, and nothing is ever lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.engine_cases import Case, cases


def assert_same_requests(case: Case) -> None:
    spans, single = case.run(coalesce=True), case.run(coalesce=False)
    left, right = spans.record, single.record

    assert left.rows is not None
    assert right.rows is not None
    assert len(left.rows) == len(right.rows)
    for a, b in zip(left.rows, right.rows, strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-9)
    for name in ("completed", "failed", "refused", "abandoned", "emitted_tokens", "lost_tokens", "preemptions"):
        assert getattr(left.totals, name) == getattr(right.totals, name), name
    assert left.totals.steps == right.totals.steps
    for name in ("busy_s", "sequence_s", "kv_token_s"):
        assert getattr(left.totals, name) == pytest.approx(getattr(right.totals, name), rel=1e-9, abs=1e-9), name


@given(cases())
@settings(max_examples=150)
def test_spans_equal_single_steps(case: Case) -> None:
    """Every request time agrees to 1e-9 whether spans are coalesced or not."""
    assert_same_requests(case)


@given(cases(tight=True))
@settings(max_examples=150)
def test_spans_equal_single_steps_under_kv_pressure(case: Case) -> None:
    """The same with a KV pool barely larger than one request, where preemption is the rule."""
    assert_same_requests(case)


@given(cases(faults=True))
@settings(max_examples=150)
def test_spans_equal_single_steps_with_faults(case: Case) -> None:
    """The same when nodes fail, replicas restart and clients retry."""
    assert_same_requests(case)


@given(cases(tight=True, faults=True))
@settings(max_examples=200)
def test_nothing_is_lost(case: Case) -> None:
    """Identities hold at any end of run, and a run without faults to its end completes what it admits."""
    outcome = case.run()
    totals = outcome.record.totals

    assert totals.arrived == (totals.completed + totals.failed + totals.refused + totals.abandoned + outcome.unfinished)
