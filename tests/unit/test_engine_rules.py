"""Admission and preemption by engine, against hand-computed timelines: every step lasts one second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from sim.engine.admission import ExpectedTokens
from sim.engine.blocks import BlockPool
from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClusterPlan, EngineLimits, NewTokenRatio
from sim.engine.request import Request, State
from sim.engine.retraction import gives_way
from sim.engine.waiting_line import WaitingHeap
from sim.steptime.law import DecodeCoefficients
from sim.streams import Streams
from sim.workload.request import RequestDraw

RATIO = NewTokenRatio(initial=0.7, minimum=0.098, decay=0.602 / 600, clip_tokens=4096, retract_steps=20)


@dataclass(frozen=True)
class OneSecond:
    """Every step lasts a second."""

    attention_cap_tokens: int = 0

    def decode(self, seqs: int) -> DecodeCoefficients:
        del seqs
        return DecodeCoefficients(0.0, 0.0, 0.0, 0.0)

    def mixed_s(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Sequence[tuple[int, int]]
    ) -> float:
        del seqs, context_tokens, capped_tokens, any_above, prefills
        return 0.0

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        del total_tokens, busiest_lane_tokens, prefill
        return 1.0


def limits(**changes: object) -> EngineLimits:
    """Ten blocks of ten tokens."""
    base: dict[str, object] = {
        "max_num_seqs": 8,
        "max_num_batched_tokens": 100,
        "block_size": 10,
        "num_kv_blocks": 10,
        "max_model_len": 1000,
        "scheduler_reserve_full_isl": True,
        "new_token_ratio": RATIO,
    }
    return EngineLimits(**{**base, **changes})  # type: ignore[arg-type]


def run(requests: list[tuple[float, int, int] | tuple[float, int, int, int]], **changes: object) -> Outcome:
    """Serve (arrival, prompt, output, priority) requests on one replica."""
    draws = [RequestDraw(*request[:3], priority=request[3] if len(request) > 3 else 0) for request in requests]
    plan = ClusterPlan(limits(**changes), 1, 1, 1000.0, record_requests=True)
    return Cluster(plan, OneSecond(), Load(iter(draws)), Streams(1)).run()


def latencies(outcome: Outcome) -> list[tuple[float, float]]:
    """(TTFT, E2EL) in order of arrival."""
    assert outcome.record.rows is not None
    rows = sorted(outcome.record.rows, key=lambda row: row[0])
    return [(round(row[4], 9), round(row[5], 9)) for row in rows]


def test_vllm_admits_by_prompt_and_preempts_the_newest() -> None:
    """Two requests that end with 7 of 10 blocks each start together; the second is put back once, at the 10th block."""
    outcome = run([(0.0, 10, 61), (0.5, 10, 61)])

    assert latencies(outcome)[0] == (1.0, 61.0)
    assert latencies(outcome)[1][0] == 1.5
    assert outcome.record.totals.preemptions >= 1


def test_no_evict_waits_for_the_whole_output() -> None:
    """TensorRT-LLM reserves 7 of 10 blocks for the first, so the second starts when that has ended."""
    outcome = run([(0.0, 10, 61), (0.5, 10, 61)], scheduler="tensorrt-llm")

    assert latencies(outcome) == [(1.0, 61.0), (61.5, 121.5)]
    assert outcome.record.totals.preemptions == 0


def test_no_evict_admits_what_fits_beside_the_promise() -> None:
    """Beside the first, which is promised 7 blocks, 3 blocks of prompt and output may start, and not 4."""
    fits = run([(0.0, 10, 61), (0.5, 20, 11)], scheduler="tensorrt-llm")
    not_yet = run([(0.0, 10, 61), (0.5, 20, 12)], scheduler="tensorrt-llm")

    assert latencies(fits)[1] == (1.5, 11.5)
    assert latencies(not_yet)[1] == (61.5, 72.5)


def test_max_utilization_is_the_newest_paused() -> None:
    """TensorRT-LLM's other policy behaves as vLLM does."""
    requests: list[tuple[float, int, int]] = [(0.0, 10, 61), (0.5, 10, 61)]
    paused = run([*requests], scheduler="tensorrt-llm", capacity_scheduler_policy="MAX_UTILIZATION")

    assert latencies(paused) == latencies(run([*requests]))


def test_sglang_waits_until_the_estimate_has_fallen() -> None:
    """The newcomer wants 10 + 21 + 10 tokens of 80 less ratio times remainder: 38.8, 39.5, 40.3 and then 41.03 at 5 s.

    At 5 s the ratio has fallen four times from 0.7 and the first may generate 56 more: 80 - 0.69599 x 56 = 41.02.
    """
    outcome = run([(0.0, 10, 61), (0.5, 10, 21)], scheduler="sglang")

    assert latencies(outcome)[1] == (5.5, 25.5)


def test_sglang_admits_at_once_where_the_estimate_allows() -> None:
    """One token less of output and the same newcomer is in at 4 s: 40 < 80 - 0.69699 x 57 = 40.27."""
    assert latencies(run([(0.0, 10, 61), (0.5, 10, 20)], scheduler="sglang"))[1] == (4.5, 23.5)


def test_sglang_expects_what_the_client_asked_for() -> None:
    """With max_tokens of 80 a prompt of 10 has to wait for the first to end, though it generates one token only."""
    outcome = run([(0.0, 10, 30), (0.5, 10, 1)], scheduler="sglang", max_tokens=80)

    assert latencies(outcome)[1] == (30.5, 30.5)


def test_a_request_that_asks_for_more_than_fits_runs_alone() -> None:
    """max_tokens is cut to what the pool holds, and a rank that runs nothing admits."""
    for scheduler in ("sglang", "tensorrt-llm"):
        assert latencies(run([(0.0, 10, 5)], scheduler=scheduler, max_tokens=5000)) == [(1.0, 5.0)]


def decoding(prompt: int, generated: int, step: int, priority: int = 0) -> Request:
    request = Request(0.0, prompt, 60, priority=priority)
    request.state, request.generated, request.join_step = State.DECODE, generated, step
    return request


def test_sglang_retracts_fewest_outputs_then_longest_prompt() -> None:
    """Of requests with 12, 7 and 7 tokens out the longer prompt of the latter two goes first."""
    running = dict.fromkeys([decoding(50, 2, 0), decoding(90, 7, 10), decoding(20, 7, 10)])

    victim = gives_way(limits(scheduler="sglang"), running, 10)
    assert (victim.input_tokens, victim.generated) == (90, 7)


def test_the_ratio_after_a_retraction_is_the_progress_of_the_batch() -> None:
    """Outputs of 30 and 10 with 20 steps more each, of 120 in all: 80 / 121; from the next step on it falls."""
    rule = ExpectedTokens(limits(scheduler="sglang"), RATIO, BlockPool(100, 10))
    batch = [decoding(10, 30, 5), decoding(10, 10, 5)]
    rule.retracted(dict.fromkeys(batch), 5)

    assert rule.ratio(6) == pytest.approx(80 / 121)
    assert rule.ratio(8) == pytest.approx(80 / 121 - 2 * RATIO.decay)
    assert rule.ratio(100_000) == RATIO.minimum


def test_the_remainder_is_clipped_per_request() -> None:
    """Under a clip of 40 a request with 59 to go counts 40 until 19 steps later, and 30 when 29 have passed."""
    law = NewTokenRatio(0.7, 0.098, 0.001, clip_tokens=40, retract_steps=20)
    rule = ExpectedTokens(limits(scheduler="sglang"), law, BlockPool(100, 10))
    short = decoding(10, 50, 3)
    rule.decodes(decoding(10, 1, 3), 3)
    rule.decodes(short, 3)

    assert [rule.remaining_tokens(step) for step in (3, 5, 13)] == [50, 48, 40]
    rule.leaves(short, 13)
    assert [rule.remaining_tokens(step) for step in (13, 22, 32)] == [40, 40, 30]


def test_priority_decides_who_is_next_and_who_gives_way() -> None:
    """The urgent one overtakes in the queue; the lowest class, and of it the last to arrive, is preempted."""
    queue = [(0.0, 10, 4, 1), (0.1, 10, 1, 2), (0.2, 10, 1, 1)]
    assert latencies(run([*queue], max_num_seqs=1, scheduling_policy="priority")) == [
        (1.0, 4.0),
        (5.9, 5.9),
        (4.8, 4.8),
    ]

    one, two, three = decoding(10, 1, 0, 0), decoding(10, 1, 0, 3), decoding(10, 1, 0, 3)
    one.ticket, two.ticket, three.ticket = 3, 1, 2
    running = dict.fromkeys([three, two, one])
    assert gives_way(limits(scheduling_policy="priority"), running, 0) is three


BACKFILL: list[tuple[float, int, int, int]] = [(0.0, 10, 50, 5), (10.5, 10, 5, 0)]


def test_an_urgent_request_displaces_backfill() -> None:
    """It takes the only seat at 11 s, and the batch job computes its 21 tokens again at 16 s."""
    outcome = run([*BACKFILL], max_num_seqs=1, scheduling_policy="priority", priority_preemption_threshold=0)

    assert latencies(outcome) == [(1.0, 55.0), (1.5, 5.5)]
    assert outcome.record.totals.preemptions == 1


def test_backfill_within_the_threshold_keeps_its_seat() -> None:
    """Five classes apart is not more than a threshold of five; without a threshold nobody is displaced."""
    for threshold in (5, None):
        outcome = run(
            [*BACKFILL], max_num_seqs=1, scheduling_policy="priority", priority_preemption_threshold=threshold
        )
        assert latencies(outcome) == [(1.0, 50.0), (40.5, 44.5)]


def test_nobody_is_displaced_in_vain() -> None:
    """A prompt of 90 does not fit beside an equal that holds 30, so the batch job with its 20 tokens stays."""
    outcome = run(
        [(0.0, 25, 10, 0), (0.0, 15, 30, 5), (3.5, 90, 1, 0)],
        scheduling_policy="priority",
        priority_preemption_threshold=0,
    )

    assert latencies(outcome)[0] == (1.0, 10.0)
    assert outcome.record.totals.preemptions == 1  # at 10 s, when its room is enough


def test_the_watermark_stays_free() -> None:
    """Beside 4 blocks held, 3 more would leave 3 of 10 free: allowed without watermark, not with half the pool."""
    requests: list[tuple[float, int, int]] = [(0.0, 35, 20), (0.5, 25, 1)]

    assert latencies(run([*requests]))[1] == (1.5, 1.5)
    assert latencies(run([*requests], kv_watermark_frac=0.5))[1] == (20.5, 20.5)


def test_the_heap_keeps_the_order_of_a_scan() -> None:
    """Shortest first, equals by position, and who is put back stands before equals; the middle can be taken out."""
    line = WaitingHeap("shortest_prefill")
    first, second, third, back = (Request(0.0, tokens, 1) for tokens in (20, 10, 10, 10))
    for request in (first, second, third):
        line.append(request)
    line.appendleft(back)
    line.remove(second)

    out = []
    while len(line):
        out.append(line.head())
        line.remove(line.head())
    assert out == [back, third, first]


def test_without_mixed_chunks_prompts_make_decodes_wait() -> None:
    """A prompt of 250 tokens takes three steps in which the first request puts out nothing: one gap of four seconds."""
    requests: list[tuple[float, int, int]] = [(0.0, 10, 6), (1.5, 250, 3)]
    roomy: dict[str, object] = {"num_kv_blocks": 100, "scheduler": "sglang"}
    mixed, apart = run([*requests], **roomy), run([*requests], enable_mixed_chunk=False, **roomy)

    assert latencies(mixed) == [(1.0, 6.0), (3.5, 5.5)]  # 99 prompt tokens beside the decode: 99, 99, 52
    assert latencies(apart) == [(1.0, 9.0), (3.5, 5.5)]
    gaps = apart.record.histograms["itl_s"]
    assert (gaps.count, gaps.sum) == (7, pytest.approx(10.0))  # 1, 4, 1, 1, 1 and 1, 1
    assert apart.record.totals.steps == 9


def test_a_step_of_prompts_is_a_step_of_the_scheduler_too() -> None:
    """Who displaces a prompt may be displaced in the next step, though no step has decoded meanwhile."""
    rules = {"scheduler": "sglang", "scheduling_policy": "priority", "priority_preemption_threshold": 0}
    requests = [(0.0, 250, 1, 3), (0.5, 250, 1, 2), (1.5, 50, 1, 0)]

    outcome = run([*requests], enable_mixed_chunk=False, max_num_seqs=1, num_kv_blocks=100, **rules)

    assert [ttft for ttft, _ in latencies(outcome)] == [9.0, 5.5, 1.5]
    assert outcome.record.totals.preemptions == 2
