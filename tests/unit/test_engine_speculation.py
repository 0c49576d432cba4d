"""Speculative decoding in the engine, by hand: every step lasts one second."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest

from sim.engine.cluster import Outcome
from tests.unit.test_engine_semantics import OneSecond, latencies, limits
from tests.unit.test_engine_semantics import run as run_plain


@dataclass(frozen=True)
class Drafting(OneSecond):
    """Drafts take no time unless a test says otherwise."""

    draft_s: float = 0.0

    def drafts_s(self, total_seqs: int, busiest_lane_seqs: int) -> float:
        return self.draft_s * total_seqs


def run(
    requests: list[tuple[float, int, int]], length: Fraction, drafts: int = 3, draft_s: float = 0.0, **changes: int
) -> Outcome:
    chosen = limits(num_speculative_tokens=drafts, acceptance_length=length, **changes)
    return run_plain(requests, engine=chosen, law=Drafting(draft_s=draft_s))


@pytest.mark.parametrize(("tokens", "steps"), [(1, 0), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (11, 4), (12, 5)])
def test_time_per_token(tokens: int, steps: int) -> None:
    """With 2.5 tokens per step, tokens after the first come 2, 3, 2, 3, ... at a time; TPOT is their time over them."""
    outcome = run([(0.0, 50, tokens)], Fraction(5, 2))
    assert latencies(outcome) == [(1.0, 1.0 + steps)]
    tpot = outcome.record.histograms["tpot_s"]
    assert tpot.count == (tokens > 1)
    assert tpot.sum == pytest.approx(steps / (tokens - 1) if tokens > 1 else 0.0)


def test_gaps_between_tokens() -> None:
    """Of the tokens of a step all but one come with no gap, and the gaps add up to the time after the first token."""
    outcome = run([(0.0, 50, 12)], Fraction(5, 2))
    itl = outcome.record.histograms["itl_s"]
    assert (itl.count, itl.zeros) == (11, 6)
    assert itl.sum == pytest.approx(5.0)
    assert itl.mean == pytest.approx(outcome.record.histograms["tpot_s"].mean)


def test_tokens_verified_beyond_the_end_are_nobodys() -> None:
    """A request of 3 tokens that a step could end with 4 emits 3, and gives all its blocks back."""
    outcome = run([(0.0, 10, 3)], Fraction(3), block_size=1)
    totals = outcome.record.totals
    assert (totals.emitted_tokens, totals.delivered_tokens, totals.steps) == (3, 3, 2)


def test_accepting_nothing_is_plain_decoding() -> None:
    """Where every draft is rejected and costs nothing, all latencies are those of plain decoding."""
    requests = [(0.3 * i, 7 * i % 60 + 1, 5 * i % 23 + 1) for i in range(30)]
    ample = {"max_num_batched_tokens": 1000}
    assert latencies(run(requests, Fraction(1), **ample)) == latencies(run_plain(requests, engine=limits(**ample)))


def test_the_budget_counts_verified_tokens() -> None:
    """Two decoding sequences with three drafts take 8 of 100 tokens, so that a prompt of 93 needs a second step."""
    requests = [(0.0, 10, 50), (0.0, 10, 50), (2.5, 93, 1)]
    assert latencies(run(requests, Fraction(1)))[2] == (2.5, 2.5)
    assert latencies(run([*requests[:2], (2.5, 92, 1)], Fraction(1)))[2] == (1.5, 1.5)


def test_drafts_take_time() -> None:
    """A step lasts its drafts too: two sequences at a tenth of a second each."""
    assert latencies(run([(0.0, 10, 5)] * 2, Fraction(2), draft_s=0.1)) == [(1.0, 3.4)] * 2


def test_blocks_are_reserved_for_drafts() -> None:
    """A pool of 60 tokens admits one request of 55 with three drafts (60 + 1 - 2 x 3), and refuses one of 56."""
    assert run([(0.0, 50, 5)], Fraction(2), num_kv_blocks=6).record.totals.completed == 1
    assert run([(0.0, 50, 6)], Fraction(2), num_kv_blocks=6).record.totals.refused == 1


def test_a_law_without_drafts_is_refused() -> None:
    """Drafts asked of a law that does not know them are a defect of the caller, said at once."""
    with pytest.raises(TypeError, match="how long a draft takes"):
        run_plain([(0.0, 1, 1)], engine=limits(num_speculative_tokens=1))
