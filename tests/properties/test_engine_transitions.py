"""Replicas that hang, die, drain, slow down, pause and lose ranks at any time: nothing is lost from the books."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine_cases import Case, cases
from tests.properties.test_engine_disaggregation import disaggregated
from tests.properties.test_engine_runs import assert_identical, run
from tests.transition_cases import checked_run, troubled

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


@given(troubled(cases(tight=True, faults=True)))
@settings(max_examples=60, deadline=None)
def test_a_seed_fixes_the_run(case: Case) -> None:
    """The same seed twice gives the same run bit for bit, jitter of retries included."""
    case = replace(case, plan=replace(case.plan, transitions=()))
    assert_identical(run(case), run(case))
