"""Prefill and decode pools against hand-computed timelines: every step lasts one second, a token is one byte of KV."""

from __future__ import annotations

from typing import Any

import pytest

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits
from sim.engine.pools import DecodePool, TransferPlan
from sim.faults.phases import exponential
from sim.faults.transition import Transition
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.fault_cases import played
from tests.unit.test_engine_semantics import OneSecond, latencies, limits

ONCE = ClientPolicy(max_retries=0)


def run(
    requests: list[tuple[float, int, int]],
    *,
    prefill: EngineLimits | None = None,
    decode: EngineLimits | None = None,
    decode_replicas: int = 1,
    send: float = 10.0,
    receive: float = 10.0,
    latency_s: float = 0.0,
    reserved: int = 0,
    decode_law: OneSecond | None = None,
    horizon_s: float = 1000.0,
    **plan: Any,
) -> Outcome:
    """Requests (arrival, input, output) on prefill replicas and decode replicas with blocks of ten tokens."""
    pool = DecodePool(
        limits=decode or limits(),
        replicas=decode_replicas,
        nodes_per_replica=1,
        transfer=TransferPlan(1.0, send, receive, latency_s),
        num_reserved_decode_tokens=reserved,
    )
    cluster = ClusterPlan(
        limits=prefill or limits(),
        horizon_s=horizon_s,
        record_requests=True,
        decode=pool,
        **{"replicas": 1, "nodes_per_replica": 1, **plan},
    )
    load = Load(iter([RequestDraw(*request) for request in requests]))
    return Cluster(cluster, OneSecond(), load, Streams(1), decode_law).run()


def one_fault(at_s: float, node: int, spares: int = 0) -> tuple[Transition, ...]:
    """One fault of one node; detection takes a second, a restart two (three on the decode side), a repair ages."""
    repair = exponential(1e6)
    return played((at_s, node), nodes=(1, 1), spares=spares, repair=repair, detect_s=1.0, restart_s=(2.0, 3.0))


def test_first_and_second_token_of_one_request() -> None:
    """The first token is out after the prefill, the second one decode step after the last byte is there."""
    outcome = run([(0.0, 50, 5)], latency_s=0.5)

    # token 1 at 1 s; 50 bytes at 10 bytes/s and 0.5 s of latency: KV there at 6.5 s; four more steps
    assert latencies(outcome) == [(1.0, 10.5)]
    assert outcome.pools is not None
    pool = outcome.pools.totals
    assert (pool.transfers, pool.transferred_tokens, pool.transferred_bytes) == (1, 50, 50.0)
    assert (pool.send_s, pool.receive_s) == pytest.approx((5.0, 5.0))
    assert (pool.prefill_busy_s, pool.decode_busy_s) == pytest.approx((1.0, 4.0))
    assert outcome.record.histograms["kv_transfer_s"].mean == pytest.approx(5.5)
    assert outcome.record.histograms["decode_wait_s"].mean == 0.0


def test_the_second_gap_includes_the_transfer() -> None:
    """Four gaps for five tokens: the first spans the transfer and one step, the others one step each."""
    gaps = run([(0.0, 50, 5)], latency_s=0.5).record.histograms["itl_s"]

    assert gaps.count == 4
    assert gaps.sum == pytest.approx(6.5 + 3 * 1.0)
    assert gaps.maximum == pytest.approx(6.5)


def test_the_second_gap_of_one_who_joins_others() -> None:
    """Who joins a running batch has its own first gap; the others' gaps of that step are a step long."""
    outcome = run([(0.0, 20, 10), (2.0, 20, 3)])

    # first: token at 1, KV at 3, tokens at 4..12; second: prefilled 2 to 3, KV at 5, joins at 5, tokens at 6 and 7
    assert latencies(outcome) == [(1.0, 12.0), (1.0, 5.0)]
    gaps = outcome.record.histograms["itl_s"]
    assert gaps.count == 9 + 2
    assert gaps.sum == pytest.approx((12.0 - 1.0) + (7.0 - 3.0))


def test_one_output_token_needs_no_decode_replica() -> None:
    """A request for a single token is done when its prompt is: nothing is transferred."""
    outcome = run([(0.0, 50, 1)])

    assert latencies(outcome) == [(1.0, 1.0)]
    assert outcome.pools is not None
    assert outcome.pools.totals.transfers == 0


def test_kv_waits_for_the_step_boundary() -> None:
    """KV that arrives inside a step decodes from the next boundary on."""
    outcome = run([(0.0, 20, 10), (0.0, 25, 2)], decode_law=OneSecond(seq_s=0.5))

    # both prefilled at 1 s. The cards serve the first until 3 s, the second until 5.5 s. Alone, steps last 1.5 s: the
    # first decodes at 3.0, 4.5, 6.0: at 6.0 the second joins, a step of two lasts 2 s
    assert latencies(outcome) == [(1.0, 8.0), (1.0, 17.0)]  # in order of completion; then six steps of 1.5 s


def test_two_transfers_share_the_cards() -> None:
    """Two prompts completed at once to one decode rank: the second transfer begins when the first is over."""
    outcome = run([(0.0, 30, 2), (0.0, 20, 2)])

    # 30 bytes until 4 s, 20 more until 6 s; the second joins at the boundary at 6 s
    assert latencies(outcome) == [(1.0, 5.0), (1.0, 7.0)]
    assert outcome.record.histograms["kv_transfer_s"].sum == pytest.approx(3.0 + 5.0)


def test_senders_meet_only_at_the_receiver() -> None:
    """Two prefill replicas send side by side; one decode rank with twice their rate receives both without delay."""
    outcome = run([(0.0, 30, 2), (0.0, 30, 2)], replicas=2, receive=20.0)

    assert [e2el for _, e2el in latencies(outcome)] == [5.0, 5.0]
    # booked in order at the receiver: 1.5 s each, so both are bound by their senders
    alone = run([(0.0, 30, 2), (0.0, 30, 2)], replicas=2, receive=10.0)
    assert [e2el for _, e2el in latencies(alone)] == [5.0, 8.0]


def test_requests_spread_over_decode_replicas() -> None:
    """The second request goes to the decode replica with more free blocks; its transfer waits at the sender only."""
    outcome = run([(0.0, 30, 2), (0.0, 30, 2)], decode_replicas=2)

    assert [e2el for _, e2el in latencies(outcome)] == [5.0, 8.0]


def test_a_full_decode_pool_holds_prefill_blocks_and_stalls_admission() -> None:
    """Room for one request on each side: the second waits for the first to decode, the third for the second's KV."""
    small = limits(num_kv_blocks=4)  # 40 tokens
    outcome = run([(0.0, 30, 5), (0.0, 30, 5), (0.0, 30, 5)], prefill=small, decode=small)

    # A: token 1 s, KV until 4 s, tokens at 5, 6, 7, 8. B may be prefilled when A's KV has left: 4 to 5 s. It waits for
    # blocks until A is done at 8 s, its KV is there at 11 s, tokens at 12..15. C: prefilled 11 to 12 s; waits until 15,
    # KV at 18 s, done at 22 s.
    assert latencies(outcome) == [(1.0, 8.0), (5.0, 15.0), (12.0, 22.0)]
    assert outcome.pools is not None
    pool = outcome.pools.totals
    assert pool.stalled_s == pytest.approx((4.0 - 1.0) + (11.0 - 5.0))  # B, then C, wait while nothing is computed
    assert pool.held_token_s == pytest.approx(30 * ((4 - 1) + (11 - 5) + (18 - 12)))
    assert pool.decode_waiting_s == pytest.approx((8 - 5) + (15 - 12))
    assert outcome.record.histograms["decode_wait_s"].sum == pytest.approx(0 + 3 + 3)
    # stored tokens x seconds: the held ones, nothing of the step that computes them; on the decode side 30, 31, 32, 33
    assert pool.prefill_kv_token_s == pytest.approx(pool.held_token_s)
    assert pool.decode_kv_token_s == pytest.approx(3 * (30 + 31 + 32 + 33))
    assert outcome.record.totals.kv_token_s == pytest.approx(pool.prefill_kv_token_s + pool.decode_kv_token_s)


def test_reserved_tokens_keep_room_for_growth() -> None:
    """With 20 tokens reserved for each request held, a decode rank of 60 tokens takes no second one of 15."""
    requests = [(0.0, 30, 5), (0.0, 15, 5)]
    decode = limits(num_kv_blocks=6)

    assert latencies(run(requests, decode=decode))[1] == (1.0, 10.0)  # KV until 4, then 5.5; tokens at 7..10
    # the first holds 3 blocks and 2 are reserved for it: 2 more do not fit until it is done at 8 s; KV at 9.5 s
    assert latencies(run(requests, decode=decode, reserved=20))[1] == (1.0, 13.5)


def test_preempted_while_decoding_goes_back_to_be_prefilled() -> None:
    """Two requests outgrow a decode rank: the newer is prefilled again with its output so far, and decodes later."""
    decode = limits(num_kv_blocks=6)
    outcome = run([(0.0, 20, 20), (0.0, 20, 20)], decode=decode, send=1e9, receive=1e9)

    assert outcome.record.totals.preemptions == 1
    assert outcome.pools is not None
    assert outcome.pools.totals.sent_back == 1
    older, newer = latencies(outcome)
    assert older == pytest.approx((1.0, 20.0), rel=1e-6)
    # the older joins at 1 s, the newer, whose KV is there an instant later, at 2 s. At 11 s the older has 30 tokens
    # stored and needs a fourth block: the newer goes back with 10 tokens out and 30 to compute, has its 11th token at
    # 12 s, and needs 3 blocks; the older holds 4 until 20 s; 9 steps more
    assert newer == pytest.approx((1.0, 29.0), rel=1e-6)
    assert outcome.record.totals.recompute_tokens == 30
    gaps = outcome.record.histograms["itl_s"]
    assert gaps.count == 2 * 19
    assert gaps.sum == pytest.approx(19.0 + 28.0)


def test_kv_on_its_way_yields_to_growth() -> None:
    """A decode rank that needs the room of a request whose KV has not arrived has it sent again later."""
    decode = limits(num_kv_blocks=6)
    outcome = run([(0.0, 29, 10), (0.0, 20, 2)], decode=decode, send=1e9, receive=2.0)

    # A: 29 tokens, KV from 1 to 15.5 s; B: 20 tokens, booked until 25.5 s. A decodes from 15.5 s and holds 3 blocks, at
    # 17.5 s 4: all fits. Stored 39 at most: no lack
    assert outcome.pools is not None
    assert outcome.pools.totals.aborted == 0
    tight = limits(num_kv_blocks=5)
    outcome = run([(0.0, 29, 10), (0.0, 20, 2)], decode=tight, send=1e9, receive=2.0)
    # the fourth block of A (step from 16.5 s) is B's: B gives up its transfer, A is done at 24.5 s, B begins anew at
    # 24.5 s behind its first transfer (until 25.5 s) and has its KV at 35.5 s
    assert outcome.pools is not None
    assert outcome.pools.totals.aborted == 1
    assert latencies(outcome) == [(1.0, 24.5), (1.0, 36.5)]
    assert outcome.record.totals.preemptions == 0


def test_prefill_replica_dies_during_a_transfer() -> None:
    """Its requests are lost wherever they wait for their KV; who decodes already is not touched."""
    outcome = run([(0.0, 20, 10), (3.0, 50, 5)], transitions=one_fault(5.0, 0), client=ONCE, horizon_s=40.0)

    # A: KV at 3 s, tokens at 4..12. B: token at 4 s, KV would be there at 9 s
    totals = outcome.record.totals
    assert (totals.completed, totals.failed, totals.killed) == (1, 1, 1)
    assert latencies(outcome) == [(1.0, 12.0)]
    assert totals.lost_tokens == 1
    assert outcome.pools is not None
    assert outcome.pools.totals.prefill_down_s == pytest.approx(12.0 - 5.0)
    assert outcome.pools.totals.decode_down_s == 0.0


def test_decode_replica_dies_during_a_transfer() -> None:
    """All requests sent to it are lost, their KV on the other side is given back, and clients start from the prompt."""
    small = limits(num_kv_blocks=6)
    client = ClientPolicy(max_retries=1, retry_backoff_s=1.0)
    outcome = run([(0.0, 50, 3)], prefill=small, transitions=one_fault(3.0, 1, 1), client=client, horizon_s=40.0)

    # token at 1 s, KV due at 6 s. Dead at 3 s; retried at 4 s, prefilled at once (its blocks came back), token at 5 s;
    # the decode replica is up at 3 + 1 + 3 = 7 s; KV at 12 s, tokens at 13 and 14
    assert latencies(outcome) == [(5.0, 14.0)]
    assert outcome.record.totals.killed == 1
    assert outcome.record.totals.wasted_prefill_tokens == 50
    assert outcome.pools is not None
    assert outcome.pools.totals.decode_down_s == pytest.approx(4.0)


def test_without_a_decode_replica_requests_keep_their_kv_and_wait() -> None:
    """While the decode replica restarts, a computed prompt waits where it is, and a client may give it up there."""
    lost = one_fault(0.5, 1, 1)
    waits = run([(0.0, 50, 3)], transitions=lost, horizon_s=40.0)
    # token at 1 s; up at 4.5 s; KV at 9.5 s
    assert latencies(waits) == [(1.0, 11.5)]
    client = ClientPolicy(max_retries=0, request_timeout_s=2.5)
    gone = run([(0.0, 50, 3)], transitions=lost, client=client, horizon_s=40.0)
    assert gone.record.totals.abandoned == 1
    assert gone.record.sojourn_s == pytest.approx(2.5)
    assert gone.pools is not None
    assert gone.pools.totals.held_token_s == pytest.approx(50 * 1.5)


@pytest.mark.parametrize(
    ("timeout_s", "first", "second"),
    [(6.5, (0.0, 70, 8), (20.0, 40, 2)), (7.5, (0.0, 50, 8), (20.0, 50, 2))],
    ids=["during the transfer", "while it decodes"],
)
def test_a_client_gives_up(timeout_s: float, first: tuple[float, int, int], second: tuple[float, int, int]) -> None:
    """A request that is given up frees its blocks on both sides, so that the next one is served as if alone."""
    tight = limits(num_kv_blocks=8)
    client = ClientPolicy(max_retries=0, request_timeout_s=timeout_s)
    outcome = run([first, second], prefill=tight, decode=tight, client=client)

    assert outcome.record.totals.abandoned == 1
    assert latencies(outcome) == [(1.0, 2.0 + second[1] / 10.0)]


def test_a_client_gives_up_while_it_waits_for_decode_room() -> None:
    """Its blocks on the prefill side come back at once, and the prompt behind it is computed."""
    small = limits(num_kv_blocks=4)
    client = ClientPolicy(max_retries=0, request_timeout_s=11.0)
    requests = [(0.0, 30, 10), (0.5, 30, 5), (1.5, 30, 5)]
    outcome = run(requests, prefill=small, decode=small, client=client)

    # A: KV at 4 s, tokens at 5..13: given up at 11 s. B: prefilled 4 to 5 s, given blocks at 11 s, given up at 11.5 s
    # during its transfer; C is prefilled 11.5 to 12.5 s and given up at 12.5 s, when the cards still carry B's KV
    assert outcome.record.totals.abandoned == 3
    assert outcome.record.totals.completed == 0
