"""Prefix caching against hand-computed timelines: every step lasts one second, a step computes 100 tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits
from sim.faults.phases import exponential
from sim.steptime.law import DecodeCoefficients
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.engine_cases import draws
from tests.fault_cases import played

LIMITS = EngineLimits(
    max_num_seqs=8,
    max_num_batched_tokens=100,
    block_size=10,
    num_kv_blocks=100,
    max_model_len=100_000,
    enable_prefix_caching=True,
)


@dataclass(frozen=True)
class OneSecond:
    """Every step lasts a second, and a thousandth more per token that lies before a chunk."""

    attention_cap_tokens: int = 0
    prefix_s: float = 0.0

    def decode(self, seqs: int) -> DecodeCoefficients:
        return DecodeCoefficients(0.0, 0.0, 0.0, 0.0)

    def mixed_s(self, seqs, context_tokens, capped_tokens, any_above, prefills) -> float:
        return sum(self.prefix_s * prefix for _, prefix in prefills)

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        return 1.0


def run(
    requests: list[RequestDraw], limits: EngineLimits = LIMITS, law: OneSecond | None = None, **plan: object
) -> Outcome:
    settings = {"replicas": 1, "nodes_per_replica": 1, "horizon_s": 10_000.0, **plan}
    cluster = ClusterPlan(limits=limits, record_requests=True, **settings)  # type: ignore[arg-type]
    return Cluster(cluster, law or OneSecond(), Load(iter(requests)), Streams(1)).run()


def ttfts(outcome: Outcome) -> list[float]:
    assert outcome.record.rows is not None
    return [round(row[4], 6) for row in sorted(outcome.record.rows)]


def test_a_cached_prefix_saves_its_prefill() -> None:
    """The second request with the same 250 tokens computes one block instead of 25: one step instead of three."""
    prompt = ((0, 250),)
    outcome = run([RequestDraw(0.0, 250, 1, None, prompt), RequestDraw(10.0, 250, 1, None, prompt)])

    assert ttfts(outcome) == [3.0, 1.0]
    assert outcome.record.totals.cached_prompt_tokens == 240
    assert outcome.record.totals.prefilled_tokens == 250 + 10


def test_the_law_sees_the_prefix() -> None:
    """The step over the rest of a prompt is charged for the pass over the cached part."""
    prompt = ((0, 250),)
    requests = [RequestDraw(0.0, 250, 1, None, prompt), RequestDraw(10.0, 250, 1, None, prompt)]

    assert ttfts(run(requests, law=OneSecond(prefix_s=1e-3)))[1] == pytest.approx(1.24)


def test_a_session_finds_its_history_and_its_answer() -> None:
    """Turn two sends prompt and answer of turn one: 90 of their 99 stored tokens are whole blocks."""
    requests = [
        RequestDraw(0.0, 50, 50, "a", ((0, 50),), 50),
        RequestDraw(100.0, 160, 1, "a", ((0, 160),), 160),
    ]
    outcome = run(requests)

    assert outcome.record.totals.cached_prompt_tokens == 90
    assert outcome.record.totals.recompute_broken_tokens == 0


def test_tokens_that_the_draw_does_not_name_are_never_shared() -> None:
    """Two prompts of the same length without identities, and two answers without, have nothing in common."""
    requests = [RequestDraw(float(20 * i), 100, 20, None, ((0, 35),) if i < 2 else None) for i in range(4)]

    assert run(requests).record.totals.cached_prompt_tokens == 30


def test_shared_blocks_are_held_once() -> None:
    """Twelve blocks carry two requests of ten blocks each, when eight of them are common."""
    prompt = ((0, 80),)
    requests = [RequestDraw(0.0, 95, 5, None, prompt), RequestDraw(1.5, 95, 3, None, prompt)]
    outcome = run(requests, replace(LIMITS, num_kv_blocks=12))

    assert outcome.record.totals.preemptions == 0
    assert ttfts(outcome) == [1.0, 1.5]
    assert outcome.record.kv_peak_tokens == 80 + 19 + 17  # as they end, at 5 s


def test_the_same_step_computes_a_prompt_twice_and_keeps_it_once() -> None:
    """Requests of one step cannot share yet; the copies are given back when it is over."""
    prompt = ((0, 40),)
    outcome = run([RequestDraw(0.0, 40, 9, None, prompt), RequestDraw(0.0, 40, 9, None, prompt)])

    assert outcome.record.totals.cached_prompt_tokens == 0
    assert outcome.record.totals.prefilled_tokens == 80
    assert outcome.record.kv_peak_tokens == 80


def test_cached_blocks_go_before_anybody_is_preempted() -> None:
    """A pool full of cached blocks serves a request as an empty one does; the least recently used go first."""
    first, second = ((0, 40),), ((1000, 40),)
    requests = [
        RequestDraw(0.0, 40, 1, None, first),
        RequestDraw(10.0, 40, 1, None, second),
        RequestDraw(20.0, 40, 12, None, ((2000, 40),)),  # takes the two free blocks, then three of the first prompt
        RequestDraw(40.0, 50, 1, None, second),
        RequestDraw(50.0, 50, 1, None, first),
    ]
    outcome = run(requests, replace(LIMITS, num_kv_blocks=10))
    totals = outcome.record.totals

    assert totals.preemptions == 0
    assert totals.cached_prompt_tokens == 40  # of the second prompt; the first lost its tail, then the rest
    assert ttfts(outcome) == [1.0] * 5


def test_a_preempted_request_finds_its_own_blocks() -> None:
    """What it stored stays cached until somebody takes it; the rest is booked as computed again for preemption."""
    limits = replace(LIMITS, num_kv_blocks=6)
    outcome = run([RequestDraw(0.0, 20, 20), RequestDraw(0.0, 20, 20)], limits)
    totals = outcome.record.totals

    # preempted at 11 s with 30 tokens in 3 blocks; the older one takes one of them
    assert totals.preemptions == 1
    assert totals.cached_prompt_tokens == 20
    assert totals.recompute_preempted_tokens == totals.recompute_tokens == 10
    assert totals.prefilled_tokens == 40 + 11


def fault(at_s: float) -> dict[str, object]:
    return {
        "transitions": played((at_s, 0), repair=exponential(1.0), spares=1, detect_s=1.0, restart_s=5.0),
        "client": ClientPolicy(max_retries=20, retry_backoff_s=1.0, retry_backoff_factor=1.0),
    }


def test_a_replica_that_dies_forgets_everything() -> None:
    """A session that returns after the restart computes its history again, because of the failure."""
    requests = [RequestDraw(0.0, 50, 51, "a", ((0, 50),), 50), RequestDraw(200.0, 150, 1, "a", ((0, 150),))]
    outcome = run(requests, **fault(100.0))

    assert outcome.record.totals.cached_prompt_tokens == 0
    assert outcome.record.totals.recompute_failed_tokens == 100


def test_a_killed_request_computes_its_prompt_again() -> None:
    """A fault in the middle of its decoding costs the prompt once more."""
    outcome = run([RequestDraw(0.0, 50, 50)], **fault(20.0))

    assert outcome.record.totals.completed == 1
    assert outcome.record.totals.recompute_failed_tokens == 50


@pytest.mark.parametrize(
    ("between", "second", "cause", "tokens"),
    [
        (((5000, 990),), ((0, 110),), "evicted", 90),  # one block of the pool is left to it
        (((5000, 90),), ((0, 40), (777, 70)), "broken", 60),
        (((5000, 90),), ((0, 110),), "evicted", 0),
    ],
)
def test_why_a_session_computes_its_history_again(
    between: tuple[tuple[int, int], ...], second: tuple[tuple[int, int], ...], cause: str, tokens: int
) -> None:
    """Evicted by a large request in between, or not continued by the next prompt from token 40 on."""
    requests = [
        RequestDraw(0.0, 100, 1, "a", ((0, 100),)),
        RequestDraw(50.0, between[0][1], 1, None, between),
        RequestDraw(100.0, 110, 1, "a", second),
    ]
    totals = run(requests, replace(LIMITS, num_kv_blocks=100)).record.totals
    causes = {"evicted": totals.recompute_evicted_tokens, "broken": totals.recompute_broken_tokens}

    assert causes.pop(cause) == tokens
    assert list(causes.values()) == [0]
    assert totals.recompute_elsewhere_tokens == totals.recompute_failed_tokens == 0


def test_a_rank_that_knows_the_prompt_is_chosen_unless_it_is_too_busy() -> None:
    """The second turn goes to the rank of the first; with a guard of zero it goes to the less loaded one."""
    requests = [
        RequestDraw(0.0, 50, 2, "a", ((0, 50),), 50),
        RequestDraw(5.0, 20, 100),  # on the same rank, being the first of two idle ones
        RequestDraw(10.0, 80, 1, "a", ((0, 80),)),
    ]
    near = run(requests, replace(LIMITS, data_parallel_size=2))
    far = run(requests, replace(LIMITS, data_parallel_size=2, affinity_guard=0))

    assert near.record.totals.cached_prompt_tokens == 50
    assert far.record.totals.cached_prompt_tokens == 0
    assert far.record.totals.recompute_elsewhere_tokens == 50


@pytest.mark.parametrize("policy", ["prefix_affinity", "session_sticky"])
def test_a_router_that_knows_sessions_sends_them_home(policy: str) -> None:
    """Turns of many sessions all find their history, where taking replicas in turn loses most of it."""
    requests = [
        RequestDraw(100.0 * turn + session, 50 * (turn + 1), 2, str(session), ((session << 20, 50 * (turn + 1)),), None)
        for turn in range(4)
        for session in range(7)
    ]
    home = run(requests, router=policy, replicas=3)
    away = run(requests, router="round_robin", replicas=3)

    assert home.record.totals.cached_prompt_tokens == 7 * (50 + 100 + 150)
    assert home.record.totals.recompute_elsewhere_tokens == 0
    assert away.record.totals.cached_prompt_tokens < 0.7 * home.record.totals.cached_prompt_tokens


def test_without_anything_to_share_caching_changes_nothing() -> None:
    """Requests that have nothing in common, in a pool that holds them all, take the same times with and without."""
    requests = list(draws(3, 0.5, 60, 60, 40))
    on = run(requests, replace(LIMITS, num_kv_blocks=10_000))
    off = run(requests, replace(LIMITS, num_kv_blocks=10_000, enable_prefix_caching=False))

    assert on.record.rows == off.record.rows
    assert on.record.totals.kv_token_s == off.record.totals.kv_token_s


def test_identities_of_tokens_mean_nothing_without_caching() -> None:
    """The draws' runs are ignored when caching is off."""
    named = [RequestDraw(float(i), 50, 5, None, ((0, 50),), 50) for i in range(20)]
    plain = [RequestDraw(float(i), 50, 5) for i in range(20)]
    off = replace(LIMITS, enable_prefix_caching=False)

    assert run(named, off).record.rows == run(plain, off).record.rows
    assert run(named, off).record.totals == run(plain, off).record.totals


def test_memory_of_the_cache_is_bounded_by_the_pool() -> None:
    """After thousands of sessions the tree has no more nodes than the pool has blocks, and long histories few."""
    requests = [
        RequestDraw(3.0 * (5 * s + t), 30 * (t + 1), 5, str(s), ((0, 20), (s << 20, 30 * t + 10)), None)
        for s in range(1, 1500)
        for t in range(5)
    ]
    cluster = ClusterPlan(limits=LIMITS, replicas=1, nodes_per_replica=1, horizon_s=1e6)
    engine = Cluster(cluster, OneSecond(), Load(iter(requests)), Streams(1))
    outcome = engine.run()
    cache = engine.replicas[0].ranks[0].cache

    assert cache is not None
    assert outcome.record.totals.completed == len(requests)
    assert outcome.record.totals.evicted_tokens > 0
    assert sum(1 for _ in cache.tree.nodes()) <= 40
