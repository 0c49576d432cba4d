"""The engine against hand-computed timelines: every step lasts one second unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits, ServiceLevel
from sim.errors import SimError
from sim.faults.phases import exponential
from sim.faults.transition import Transition
from sim.steptime.law import DecodeCoefficients
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.fault_cases import played


@dataclass(frozen=True)
class OneSecond:
    """Every step lasts a second; `seq_s` more per decoding sequence of the slowest lane."""

    attention_cap_tokens: int = 0
    seq_s: float = 0.0

    def decode(self, seqs: int) -> DecodeCoefficients:
        return DecodeCoefficients(self.seq_s * seqs, 0.0, 0.0, 0.0)

    def mixed_s(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Sequence[tuple[int, int]]
    ) -> float:
        return self.seq_s * seqs

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        return 1.0


def limits(**changes: int) -> EngineLimits:
    base = {
        "max_num_seqs": 8,
        "max_num_batched_tokens": 100,
        "block_size": 10,
        "num_kv_blocks": 1000,
        "max_model_len": 100_000,
    }
    return EngineLimits(**{**base, **changes})  # type: ignore[arg-type]


def run(
    requests: list[tuple[float, int, int]],
    *,
    engine: EngineLimits | None = None,
    law: OneSecond | None = None,
    horizon_s: float = 1000.0,
    **plan: object,
) -> Outcome:
    cluster = ClusterPlan(
        limits=engine or limits(),
        horizon_s=horizon_s,
        record_requests=True,
        **{"replicas": 1, "nodes_per_replica": 1, **plan},  # type: ignore[arg-type]
    )
    load = Load(iter([RequestDraw(*request) for request in requests]))
    return Cluster(cluster, law or OneSecond(), load, Streams(1)).run()


def latencies(outcome: Outcome) -> list[tuple[float, float]]:
    """(TTFT, E2EL) in order of arrival."""
    assert outcome.record.rows is not None
    rows = sorted(outcome.record.rows, key=lambda row: row[0])
    return [(round(row[4], 9), round(row[5], 9)) for row in rows]


def test_one_request() -> None:
    """A prompt within the budget takes one step, then each further token one step."""
    assert latencies(run([(0.0, 50, 5)])) == [(1.0, 5.0)]


def test_one_output_token_ends_with_the_prefill() -> None:
    """A request for a single token is done when its prompt is."""
    assert latencies(run([(0.0, 50, 1)])) == [(1.0, 1.0)]


def test_chunked_prefill() -> None:
    """A prompt of 250 tokens takes three steps under a budget of 100."""
    assert latencies(run([(0.0, 250, 2)])) == [(3.0, 4.0)]


def test_decodes_take_their_tokens_before_prefills() -> None:
    """Two decodes leave 98 of 100 tokens to a prompt of 99, which then needs a second step."""
    outcome = run([(0.0, 10, 50), (0.0, 10, 50), (5.5, 99, 1)])

    assert latencies(outcome)[2] == (2.5, 2.5)


def test_two_prompts_share_the_budget() -> None:
    """The second prompt gets what the first leaves, and finishes in the next step."""
    assert latencies(run([(0.0, 60, 1), (0.0, 60, 1)])) == [(1.0, 1.0), (2.0, 2.0)]


def test_arrival_inside_a_span_waits_for_the_boundary() -> None:
    """An arrival at 2.3 s joins the batch that forms at 3 s."""
    assert latencies(run([(0.0, 10, 50), (2.3, 10, 2)]))[1] == pytest.approx((1.7, 2.7))


def test_arrival_at_a_boundary_is_seen_by_it() -> None:
    """An arrival at exactly 2 s joins the batch that forms at 2 s."""
    assert latencies(run([(0.0, 10, 50), (2.0, 10, 2)]))[1] == pytest.approx((1.0, 2.0))


def test_max_num_seqs_bounds_the_batch() -> None:
    """With one seat the second request waits for the first to end."""
    outcome = run([(0.0, 10, 4), (0.5, 10, 2)], engine=limits(max_num_seqs=1))

    assert latencies(outcome) == [(1.0, 4.0), (4.5, 5.5)]


def test_shortest_prefill_first() -> None:
    """With one seat the shorter prompt overtakes the longer one in the queue."""
    requests = [(0.0, 10, 4), (0.1, 90, 1), (0.2, 20, 1)]
    one_seat = EngineLimits(1, 100, 10, 1000, 100_000, scheduling_policy="shortest_prefill")

    assert [
        round(ttft + arrival, 6)
        for (ttft, _), (arrival, _, _) in zip(latencies(run(requests, engine=one_seat)), requests, strict=True)
    ] == [1.0, 6.0, 5.0]


def test_head_of_line_blocks_under_fcfs() -> None:
    """A small request does not overtake a large one that waits for KV blocks."""
    engine = limits(num_kv_blocks=12)  # 120 tokens
    outcome = run([(0.0, 80, 4), (0.1, 90, 1), (0.2, 20, 1)], engine=engine)

    assert [round(ttft, 6) for ttft, _ in latencies(outcome)] == [1.0, 4.9, 5.8]


def test_newest_is_preempted_and_recomputed() -> None:
    """Two requests that outgrow the pool: the newer is put back, recomputed with its output so far, and completes."""
    engine = limits(num_kv_blocks=6)  # 60 tokens for two requests that need 40 each at their end
    outcome = run([(0.0, 20, 20), (0.0, 20, 20)], engine=engine)

    assert outcome.record.totals.preemptions == 1
    assert outcome.record.totals.completed == 2
    older, newer = latencies(outcome)
    assert older == (1.0, 20.0)
    # both hold 3 blocks after 11 decode steps; the 12th step needs a fourth block each: preempted with 11 tokens out
    # at 11 s; re-admitted when the older leaves at 20 s; 31 tokens recomputed in 1 step give token 12; 8 steps more
    assert newer == (1.0, 29.0)
    assert outcome.record.totals.recompute_tokens == 31


def test_request_that_never_fits_is_refused() -> None:
    """A request longer than the pool is refused at once, with its length kept for the message."""
    outcome = run([(0.0, 90, 40), (0.0, 90, 10)], engine=limits(num_kv_blocks=10))

    assert (outcome.record.totals.refused, outcome.record.totals.completed) == (1, 1)
    assert outcome.longest_refused_tokens == 130


def test_lockstep_the_slowest_rank_sets_the_pace() -> None:
    """Two sequences on one rank slow a lone sequence on the other rank to their pace."""
    engine = limits(data_parallel_size=2, max_num_seqs=2)
    outcome = run([(0.0, 10, 11)] * 3, engine=engine, law=OneSecond(seq_s=0.5))

    # prefill step 1 s; then 10 steps of 1 s + 0.5 s x 2 sequences on the fuller rank
    assert latencies(outcome) == [(1.0, 21.0)] * 3


def test_pipeline_microbatches_share_the_pool_not_the_batch() -> None:
    """With two pipeline stages, two sequences sit in two microbatches, each paying for itself alone."""
    outcome = run([(0.0, 10, 11)] * 2, engine=limits(pipeline_parallel_size=2), law=OneSecond(seq_s=0.5))

    # the second prompt leaves half a second after the first; then ten rounds of 1 s + 0.5 s for one sequence
    assert latencies(outcome) == [(1.5, 16.5)] * 2


def test_least_outstanding_spreads() -> None:
    """Two requests at once go to two replicas."""
    outcome = run([(0.0, 10, 11)] * 2, law=OneSecond(seq_s=0.5), replicas=2)

    assert latencies(outcome) == [(1.0, 16.0)] * 2


def test_timeout_then_abandoned() -> None:
    """A client that gives up frees its place at the next boundary; without retries it counts as abandoned."""
    client = ClientPolicy(max_retries=0, request_timeout_s=4.5)
    outcome = run([(0.0, 10, 50)], client=client)

    totals = outcome.record.totals
    assert (totals.abandoned, totals.timeouts, totals.completed) == (1, 1, 0)
    assert outcome.record.sojourn_s == pytest.approx(5.0)
    assert totals.lost_tokens == 5


def test_timeout_then_retry_succeeds() -> None:
    """A retried request starts from its prompt; its latency counts from the first attempt."""
    client = ClientPolicy(max_retries=1, retry_backoff_s=1.0, request_timeout_s=4.5)
    outcome = run([(0.0, 10, 4), (0.1, 10, 2)], client=client, engine=limits(max_num_seqs=1))

    # the second starts at 4 s, gives up at 4.6 s, leaves at 5 s with one token out, returns at 6 s
    assert latencies(outcome)[1] == (6.9, 7.9)
    totals = outcome.record.totals
    assert (totals.completed, totals.retries, totals.lost_tokens) == (2, 1, 1)


def faults(*injected: tuple[float, int], **changes: object) -> tuple[Transition, ...]:
    """One node fault at 10.5 s unless others are given; no random ones."""
    base: dict[str, object] = {"detect_s": 2.0, "restart_s": 5.0, "repair": exponential(50.0)}
    return played(*(injected or ((10.5, 0),)), **{**base, **changes})  # type: ignore[arg-type]


def test_node_fault_kills_the_replica_and_a_spare_brings_it_back() -> None:
    """In-flight work is lost; with a spare the replica is back after detection and restart."""
    client = ClientPolicy(max_retries=20, retry_backoff_s=1.0, retry_backoff_factor=1.0)
    outcome = run([(0.0, 10, 20)], transitions=faults(spares=1), client=client, horizon_s=100.0)

    assert outcome.outages == ((0, 10.5, 17.5),)
    totals = outcome.record.totals
    assert (totals.killed, totals.completed, totals.lost_tokens) == (1, 1, 10)
    # first retry that finds it up is the 7th, at 17.5 s; then 1 s prefill and 19 s decode
    assert latencies(outcome) == [(18.5, 37.5)]


def test_without_a_spare_the_replica_waits_for_the_repair() -> None:
    """Down time is detection and repair in parallel, then the restart."""
    outcome = run([(0.0, 10, 20)], transitions=faults(), horizon_s=5000.0, client=ClientPolicy(max_retries=0))

    assert outcome.record.totals.failed == 1
    [(_, down_s, up_s)] = outcome.outages
    assert up_s is None or up_s - down_s > 7.0


def test_other_replica_takes_the_retries() -> None:
    """With two replicas the lost request is served by the survivor at once."""
    outcome = run([(0.0, 10, 20)], transitions=faults(nodes=(1, 1)), replicas=2, horizon_s=200.0)

    assert outcome.record.totals.completed == 1
    assert latencies(outcome)[0][1] == pytest.approx(10.5 + 0.05 + 20.0)


def test_fault_comes_before_the_boundary_of_the_same_instant() -> None:
    """A fault at exactly 10 s loses the step that would have ended then."""
    outcome = run([(0.0, 10, 20)], transitions=faults((10.0, 0)), client=ClientPolicy(max_retries=0))

    assert outcome.record.totals.lost_tokens == 9


def test_zero_fault_rate_is_bit_for_bit_the_run_without_faults() -> None:
    """A fleet in which nothing fails has nothing to tell, and its run is the one without a fleet."""
    requests = [(0.37 * i, 10 + i, 5 + i) for i in range(30)]
    plain = run(requests)
    zero = run(requests, transitions=played(rate_per_s=0.0, repair=exponential(7.0), spares=2))

    assert plain.record.rows == zero.record.rows
    assert plain.record.totals == zero.record.totals


def test_goodput_counts_requests_inside_every_limit() -> None:
    """Of two requests, only the one inside TTFT and TPOT limits is good."""
    slo = ServiceLevel(ttft_s=1.5, tpot_s=1.0)
    outcome = run([(0.0, 60, 3), (0.0, 60, 3)], slo=slo)

    assert outcome.record.totals.good == 1
    assert outcome.record.totals.good_tokens == 3


def test_itl_counts_every_gap_once() -> None:
    """A request of n output tokens has n - 1 gaps, pooled over requests."""
    outcome = run([(0.0, 10, 7), (0.5, 10, 3)])

    assert outcome.record.histograms["itl_s"].count == 6 + 2


def test_itl_of_a_preempted_request_counts_its_wait() -> None:
    """A resumed request's gap runs from its last token before the preemption to the first one after it."""
    engine = limits(num_kv_blocks=6)  # as in the preemption test: out at 11 s, its next token at 21 s
    outcome = run([(0.0, 20, 20), (0.0, 20, 20)], engine=engine)

    itl = outcome.record.histograms["itl_s"]
    assert itl.count == 19 + 19
    assert itl.sum == pytest.approx(19.0 + (18.0 + 10.0))
    assert itl.maximum == pytest.approx(10.0)


@dataclass(frozen=True)
class Capped(OneSecond):
    """A second per step, and a hundredth per token of capped context."""

    attention_cap_tokens: int = 20

    def decode(self, seqs: int) -> DecodeCoefficients:
        return DecodeCoefficients(0.0, 0.0, 0.01, 0.0)


def test_a_sequence_that_reaches_the_cap_with_its_last_token_leaves_no_trace() -> None:
    """Its last step is the one before the cap; the sequence after it pays for its own context only."""
    outcome = run([(0.0, 10, 10), (50.0, 10, 5)], law=Capped())

    # prefill 1 s, then steps with contexts 11 to 14
    assert latencies(outcome)[1] == (1.0, pytest.approx(1.0 + 4 * 1.0 + 0.01 * (11 + 12 + 13 + 14)))


def test_admission_counts_the_blocks_that_decoding_has_taken_meanwhile() -> None:
    """A request is admitted into what is free now, not into what was free when the batch last changed."""
    engine = limits(num_kv_blocks=10, block_size=10)
    outcome = run([(0.0, 10, 61), (45.5, 50, 2)], engine=engine)

    # at 46 s the first holds 6 blocks (55 tokens): 4 are free, 5 are asked for; it leaves at 61 s
    assert latencies(outcome)[1] == (pytest.approx(62.0 - 45.5), pytest.approx(63.0 - 45.5))
    assert outcome.record.totals.preemptions == 0


def test_time_integrals_are_exact() -> None:
    """Batch, cache, queue and prefill seconds of a small timeline, and of the window after a warm-up inside a span."""
    requests = [(0.0, 10, 5), (0.5, 10, 3)]  # one seat: 0-1 prefill, 1-5 decode; then 5-6 prefill, 6-8 decode
    outcome = run(requests, engine=limits(max_num_seqs=1), warmup_s=2.5, horizon_s=20.0)
    totals, window = outcome.record.totals, outcome.record.totals.since(outcome.record.opened)

    assert (totals.busy_s, totals.prefill_step_s, totals.sequence_s) == (8.0, 2.0, 6.0)
    assert totals.waiting_s == pytest.approx(4.5)
    assert totals.kv_token_s == pytest.approx((10 + 11 + 12 + 13) + (10 + 11))
    assert (window.busy_s, window.prefill_step_s, window.sequence_s) == (5.5, 1.0, 4.5)
    assert window.waiting_s == pytest.approx(2.5)
    assert window.kv_token_s == pytest.approx((0.5 * 11 + 12 + 13) + (10 + 11))
    assert outcome.record.kv_peak_tokens == 14
    assert outcome.end_s == 8.0


def test_the_run_ends_when_the_last_request_leaves() -> None:
    """Neither the horizon nor the grid of samples is the end of a run whose load has run out."""
    outcome = run([(0.0, 10, 5)], horizon_s=1e6)

    assert outcome.end_s == 5.0
    assert outcome.record.totals.busy_s == 5.0


def test_the_horizon_ends_the_run_before_a_boundary_of_the_same_instant() -> None:
    """A step that would end exactly at the horizon is not over: its tokens are not counted."""
    outcome = run([(0.0, 10, 50)], horizon_s=10.0)

    assert (outcome.end_s, outcome.unfinished, outcome.record.totals.emitted_tokens) == (10.0, 1, 9)
    assert outcome.record.histograms["itl_s"].count == 8


def test_an_arrival_exactly_at_the_end_of_the_warm_up_is_measured() -> None:
    """Counters and latencies agree about it."""
    outcome = run([(3.0, 10, 2)], warmup_s=3.0)

    assert outcome.record.totals.since(outcome.record.opened).arrived == 1
    assert outcome.record.histograms["ttft_s"].count == 1


def test_a_fault_in_the_step_that_preempted_leaves_no_block_on_admission() -> None:
    """The step that put a request back is lost with the replica; the first batch after it admits as usual."""
    engine = limits(num_kv_blocks=6)  # as in the preemption test: the batch that forms at 11 s preempts
    client = ClientPolicy(max_retries=9, retry_backoff_s=2.0, retry_backoff_factor=1.0)
    lost = faults((11.5, 0), detect_s=0.0, restart_s=1.0, spares=1)
    outcome = run([(0.0, 20, 20), (0.0, 20, 20)], engine=engine, transitions=lost, client=client)

    # back at 12.5 s, retried at 13.5 s; then as without the fault
    assert latencies(outcome) == [(14.5, 33.5), (14.5, 42.5)]


def test_all_replicas_down_at_once_fails_what_retries_do_not_outlast() -> None:
    """With both replicas down, a request fails after its last retry; one with more patience is served afterwards."""
    lost = faults((5.0, 0), (5.0, 1), nodes=(1, 1), spares=2)
    plan = {"transitions": lost, "replicas": 2, "horizon_s": 200.0}
    short = run([(6.0, 10, 2)], client=ClientPolicy(max_retries=2, retry_backoff_s=1.0), **plan)
    long = run([(6.0, 10, 2)], client=ClientPolicy(max_retries=9, retry_backoff_s=1.0), **plan)

    assert (short.record.totals.failed, short.record.totals.attempts) == (1, 3)
    # both are back at 12 s; retries at 7, 8.5, 10.75, 14.125 s
    assert long.record.totals.completed == 1
    assert latencies(long)[0] == (pytest.approx(14.125 + 1.0 - 6.0), pytest.approx(14.125 + 2.0 - 6.0))


@pytest.mark.parametrize("request_", [(0.0, 0, 5), (0.0, 5, 0)])
def test_a_request_without_tokens_is_an_error(request_: tuple[float, int, int]) -> None:
    """A workload that hands over empty requests is stopped, not simulated into nonsense."""
    with pytest.raises(SimError, match="at least one input and one output token"):
        run([request_])


def test_memory_does_not_grow_with_the_run() -> None:
    """After many requests, nothing of those that have left is kept: timeline, deadlines and marks are bounded."""
    requests = [(0.3 * i, 5, 2) for i in range(30_000)]
    cluster = ClusterPlan(limits=limits(), replicas=1, nodes_per_replica=1, horizon_s=1e6)
    engine = Cluster(cluster, OneSecond(), Load(iter([RequestDraw(*request) for request in requests])), Streams(1))
    outcome = engine.run()

    assert outcome.record.totals.completed == 30_000
    assert len(outcome.record.timeline) <= 1000
    assert len(engine.clients._deadlines) <= 4096 + 4 * 8 + 1
    assert not engine.replicas[0]._finishes
    assert not engine.replicas[0]._crossings
