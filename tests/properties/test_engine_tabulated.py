"""The engine under a law read from a table of steps, whose decode steps are linear only between knots."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.steptime.step_rows import StepRow
from sim.steptime.step_table import StepTable
from sim.steptime.tabulated import HostTime, TabulatedLaw
from tests.engine_cases import Case, cases
from tests.properties.test_engine_reference import assert_agrees
from tests.properties.test_engine_spans import assert_same_requests


@st.composite
def tables(draw: st.DrawFn) -> TabulatedLaw:
    """Few rows with crooked seconds, that small batches run across and beyond."""
    crooked = st.floats(0.0071, 0.0931)
    levels = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3, unique=True))
    rows = []
    for seqs in levels:
        seconds = draw(crooked)
        for context in sorted(draw(st.lists(st.integers(1, 90), min_size=1, max_size=4, unique=True))):
            seconds += draw(st.floats(0.0, 0.0191))
            rows.append(StepRow(seqs, context, 0, 0, seconds))
    for prefix in draw(st.sampled_from([(0,), (0, 23)])):
        rows += [StepRow(0, 0, tokens, prefix, draw(crooked)) for tokens in (7, 31)]
    if draw(st.booleans()):
        rows += [StepRow(seqs, 20, 11, 0, draw(crooked) + 0.1) for seqs in levels]
    host = HostTime(draw(st.sampled_from([0.0, 0.0013])), 0.0007, 0.00003)
    return TabulatedLaw(StepTable(rows), host)


@given(cases(), tables())
@settings(max_examples=80)
def test_agrees_with_the_plain_simulator(case: Case, law: TabulatedLaw) -> None:
    """Request times, steps, gaps and integrals agree to 1e-9 with walking through every step, across all knots."""
    assert_agrees(replace(case, law=law))


@given(cases(flavours=True, caching=True, tight=True), tables())
@settings(max_examples=80)
def test_agrees_under_the_rules_of_every_engine(case: Case, law: TabulatedLaw) -> None:
    """The same with a prefix cache, a tight pool, and rules of admission and preemption of each engine."""
    assert_agrees(replace(case, law=law))


@given(cases(faults=True), tables())
@settings(max_examples=80)
def test_spans_equal_single_steps(case: Case, law: TabulatedLaw) -> None:
    """Covering many steps with one event changes nothing, with faults, retries and several replicas.

    Under open load: where steps are flat, callers who gave up together come back at what is a step boundary but for the
    last bit, and that bit decides; the law of kernels without slopes does the same.
    """
    assert_same_requests(replace(case, law=law, concurrency=None))
