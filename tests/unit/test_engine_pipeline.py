"""Prompts in a pipeline against hand-computed timelines: a microbatch takes a second, 1/stages of it in each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from sim.steptime.law import DecodeCoefficients
from tests.unit.test_engine_semantics import OneSecond, latencies, limits, run

FOUR = limits(pipeline_parallel_size=4)
TWO = limits(pipeline_parallel_size=2)


@dataclass(frozen=True)
class Noting(OneSecond):
    """Writes down the prompt chunks of every microbatch."""

    seen: list[list[tuple[int, int]]] = field(default_factory=list)

    def mixed_s(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Sequence[tuple[int, int]]
    ) -> float:
        self.seen.append(list(prefills))
        return 0.0


@dataclass(frozen=True)
class SlowPrompts(OneSecond):
    """A microbatch with a prompt chunk takes four seconds, one that decodes takes one."""

    def decode(self, seqs: int) -> DecodeCoefficients:
        return DecodeCoefficients(0.0, 0.0, 0.0, 0.0)

    def mixed_s(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Sequence[tuple[int, int]]
    ) -> float:
        return 3.0


@pytest.mark.parametrize(("chunks", "ttft_s"), [(1, 1.0), (2, 1.25), (4, 1.75), (5, 2.0), (10, 3.25)])
def test_chunks_of_one_prompt_follow_each_other(chunks: int, ttft_s: float) -> None:
    """A lone prompt of n chunks on four stages takes n + 3 stage times; each token after it takes all four."""
    assert latencies(run([(0.0, 100 * chunks, 3)], engine=FOUR)) == [(ttft_s, ttft_s + 2.0)]


def test_each_chunk_knows_what_was_computed_before_it() -> None:
    """Chunks of one round see those of earlier microbatches, and of earlier rounds, as computed."""
    law = Noting()
    run([(0.0, 650, 1)], engine=FOUR, law=law)

    assert law.seen == [[(100, 0)], [(100, 100)], [(100, 200)], [(100, 300)], [(100, 400)], [(100, 500)], [(50, 600)]]


def test_prompts_follow_each_other_without_a_gap() -> None:
    """Two prompts of two chunks on two stages: four chunks end after five stage times of half a second."""
    assert latencies(run([(0.0, 200, 1), (0.0, 200, 1)], engine=TWO)) == [(1.5, 1.5), (2.5, 2.5)]


def test_a_prompt_that_comes_while_the_pipeline_drains_enters_at_once() -> None:
    """The first stage is free from 1.0 s, the pipeline empty at 1.5 s; a prompt sent at 1.2 s takes its 1.5 s."""
    assert latencies(run([(0.0, 200, 1), (1.2, 200, 1)], engine=TWO)) == [(1.5, 1.5), (1.5, 1.5)]


def test_a_long_prompt_takes_all_budgets_and_a_short_one_what_is_left() -> None:
    """One lane decodes; 150 tokens take its other 99 and 51 of the second lane, where a short prompt finds room."""
    outcome = run([(0.0, 10, 50), (0.5, 150, 1), (0.6, 10, 2)], engine=TWO)

    # the round from 1 s: the first lane leaves at 2 s, the second half a second later; then one token per second
    assert latencies(outcome)[1:] == [(2.0, 2.0), (1.9, 2.9)]


def test_a_long_prompt_holds_up_those_behind_it() -> None:
    """Prompts are served in the order of their admission: a short one waits until the long one leaves room."""
    outcome = run([(0.0, 1000, 1), (0.1, 50, 1)], engine=TWO)

    # ten chunks of half a second, the last of them at 4.5 s; five rounds, the first with the filling: 1.5 + 4 x 1 s
    assert latencies(outcome) == [(5.5, 5.5), (pytest.approx(6.0 - 0.1), pytest.approx(6.0 - 0.1))]


def test_a_sequence_decodes_in_one_lane_only() -> None:
    """Two prompts that filled both lanes decode one in each: the round costs one sequence, not two."""
    outcome = run([(0.0, 150, 11)] * 2, engine=TWO, law=OneSecond(seq_s=0.5))

    # 100 + 50 and 50 + 100 tokens: three chunks in the first round and one in the second; then ten rounds of 1.5 s
    assert latencies(outcome)[1][1] - latencies(outcome)[1][0] == pytest.approx(15.0)


def test_decodes_behind_prompts_wait_for_the_pipeline() -> None:
    """A burst of four chunks of a second each delays a decoding sequence by the filling of the pipeline too."""
    outcome = run([(0.0, 10, 10), (4.5, 399, 1)], engine=FOUR, law=SlowPrompts())

    # 4 s, then tokens at 5, 6, ... s; the burst forms at 5 s: 99 tokens with the decode, 300 in the other lanes, the
    # first entering at 5 s and leaving at 9 s, the last three seconds later
    assert latencies(outcome)[1][0] == pytest.approx(12.0 - 4.5)
    assert latencies(outcome)[0] == (4.0, pytest.approx(4.0 + 1.0 + 7.0 + 7 * 1.0))


def test_bubble_seconds_of_a_lone_sequence_and_of_a_lone_prompt() -> None:
    """One microbatch on four stages leaves three of four idle; four chunks leave them idle for three stage times."""
    decoding = run([(0.0, 10, 101)], engine=FOUR).record.totals
    prompt = run([(0.0, 400, 1)], engine=FOUR).record.totals

    assert (decoding.busy_s, decoding.bubble_s) == (pytest.approx(101.0), pytest.approx(75.75))
    assert (prompt.busy_s, prompt.bubble_s) == (1.75, 0.75)


def test_a_full_pipeline_has_no_bubble_and_one_stage_none_ever() -> None:
    """Four equal microbatches keep four stages busy; without stages nothing is counted."""
    full = run([(0.0, 10, 101)] * 4, engine=FOUR, law=OneSecond(seq_s=1.0)).record.totals
    single = run([(0.0, 10, 101)] * 4, law=OneSecond(seq_s=1.0)).record.totals

    assert full.bubble_s == pytest.approx(0.75)  # of the first round, which fills the pipeline
    assert single.bubble_s == 0.0


def test_a_prompt_without_room_for_its_later_chunks_goes_on_in_the_next_round() -> None:
    """Admission takes what fits of a round; nobody is preempted for chunks of a prompt that has just come."""
    engine = limits(pipeline_parallel_size=2, num_kv_blocks=35)
    outcome = run([(0.0, 150, 3), (0.1, 300, 1)], engine=engine)

    # the first holds 16 of 35 blocks from 1.5 s: 10 of the other 19 go to a chunk of 99 tokens beside its decode, none
    # to a second chunk. At 2.5 s the prompt finds no room to go on and puts itself back; the first leaves at 3.5 s;
    # then three chunks, four stage times
    assert latencies(outcome) == [(1.5, 3.5), (5.4, 5.4)]
    assert (outcome.record.totals.preemptions, outcome.record.totals.wasted_prefill_tokens) == (1, 99)
