"""Speculative decoding in the engine: identities, spans, block counts, and the end of every run."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine.speculative_blocks import SpeculativeBlockPool
from tests.engine_cases import Case, cases
from tests.properties.test_engine_runs import assert_everybody_leaves, assert_identical, run
from tests.properties.test_engine_spans import assert_same_requests

either = st.booleans().flatmap(lambda caching: cases(tight=True, faults=True, caching=caching, drafting=True))


def assert_nothing_is_lost(case: Case, horizon_s: float) -> None:
    cut = replace(case, plan=replace(case.plan, horizon_s=horizon_s, warmup_s=min(case.plan.warmup_s, 0.5 * horizon_s)))
    totals = cut.run().record.totals
    assert totals.emitted_tokens >= totals.delivered_tokens + totals.lost_tokens
    assert_identical(run(cut), run(cut, 7))


@given(either, st.sampled_from([0.013, 1.0, 7.77, 50.0]))
@settings(max_examples=100)
def test_nothing_is_lost_at_any_end_of_run(case: Case, horizon_s: float) -> None:
    """Tokens, blocks and time add up under faults, timeouts and preemption, wherever a run of parts of tokens ends."""
    assert_nothing_is_lost(case, horizon_s)


@given(st.booleans().flatmap(lambda caching: cases(faults=True, caching=caching, drafting=True)))
@settings(max_examples=60)
def test_spans_and_single_steps_agree(case: Case) -> None:
    """Many steps in one event give the same requests, counters and integrals as one event per step."""
    assert_same_requests(case)


@given(st.booleans().flatmap(lambda caching: cases(tight=True, caching=caching, drafting=True)))
@settings(max_examples=100)
def test_no_deadlock_when_the_pool_barely_holds_one_request(case: Case) -> None:
    """What drafts reserve never keeps the longest admissible request from its end."""
    assert_everybody_leaves(case)


@pytest.mark.long
@given(either, st.sampled_from([0.013, 1.0, 7.77, 50.0]))
@settings(max_examples=1500)
def test_any_run_at_length(case: Case, horizon_s: float) -> None:
    """The identities over many more clusters."""
    assert_nothing_is_lost(case, horizon_s)


@pytest.mark.long
@given(st.booleans().flatmap(lambda caching: cases(tight=True, caching=caching, drafting=True)))
@settings(max_examples=5000)
def test_no_deadlock_at_length(case: Case) -> None:
    """No deadlock over many more clusters."""
    assert_everybody_leaves(case)


operations = st.lists(
    st.tuples(st.sampled_from(["join", "leave", "wait"]), st.integers(0, 40), st.integers(0, 30)), max_size=30
)


@given(operations, st.sampled_from([1, 3, 4, 16]), st.integers(1, 50), st.integers(1, 16), st.integers(0, 5))
@settings(max_examples=300)
def test_block_counts_are_those_of_every_sequence(
    steps: list[tuple[str, int, int]], block_size: int, numerator: int, denominator: int, lookahead: int
) -> None:
    """Free blocks, growth and the first step that may not fit are those of sequences counted one by one."""
    length = Fraction(numerator, denominator)
    pool = SpeculativeBlockPool(200, block_size, length, lookahead)
    running: list[tuple[int, int]] = []
    now = 0

    def blocks(sequence: tuple[int, int], step: int) -> int:
        joined, stored = sequence
        return -(-(stored + (step - joined) * length.numerator // length.denominator + lookahead) // block_size)

    def held(step: int) -> int:
        return sum(blocks(sequence, step) for sequence in running)

    for kind, number, wait in steps:
        if kind == "join":
            need = -(-(number + lookahead) // block_size)
            if need <= pool.free:
                pool.take(need)
                pool.join(now, number)
                running.append((now, number))
        elif kind == "leave" and running:
            joined, stored = running.pop(number % len(running))
            pool.leave(joined, stored, stored + (now - joined) * length.numerator // length.denominator)
        else:
            now = max(step for step in range(now, now + wait + 1) if held(step) <= 200)
            pool.advance(now)
        assert pool.free == 200 - held(now)
        assert pool.growth() == held(now + 1) - held(now)
        until = pool.safe_until()
        if running and until < 10_000:
            assert held(until) <= 200
            if pool.free < pool.decoding * pool.cycle_blocks:
                assert held(until + 1) > 200
