"""KV tiers on timelines computed by hand: a step lasts one second and computes 100 tokens; a token is one byte."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClusterPlan, EngineLimits
from sim.engine.tier_plan import HostPlan, RemotePlan
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.unit.test_engine_prefix_cache import LIMITS, OneSecond, fault, run, ttfts

SMALL = replace(LIMITS, num_kv_blocks=12, max_num_batched_tokens=200)
HOST = HostPlan(
    num_blocks=100, token_bytes=1.0, read_bytes_per_s=10.0, write_bytes_per_s=100.0, max_write_backlog_s=60.0
)
REMOTE = RemotePlan(
    num_blocks=1000,
    read_token_bytes=1.0,
    write_token_bytes=1.0,
    bytes_per_s=20.0,
    latency_s=0.5,
    max_write_backlog_s=60.0,
)
FIRST, OTHER = ((0, 110),), ((5000, 110),)


def three(again_s: float = 40.0) -> list[RequestDraw]:
    """A prompt, another that takes its place, and the first once more."""
    return [
        RequestDraw(0.0, 110, 1, "a", FIRST),
        RequestDraw(20.0, 110, 1, None, OTHER),
        RequestDraw(again_s, 110, 1, "a", FIRST),
    ]


def test_an_evicted_prompt_comes_back_from_the_host() -> None:
    """One of its eleven blocks is still on the GPU, the last is computed: nine come at ten tokens a second.

    Before them goes what they take the place of, 110 tokens in 1.1 s; after them comes a step.
    """
    outcome = run(three(), SMALL, host=HOST)
    totals = outcome.record.totals

    assert ttfts(outcome) == [1.0, 1.0, 1.1 + 9.0 + 1.0]
    assert (totals.cached_prompt_tokens, totals.host_tokens, totals.remote_tokens) == (10, 90, 0)
    assert totals.prefilled_tokens == 110 + 110 + 10
    assert totals.recompute_evicted_tokens == 0
    assert totals.host_written_tokens == 110 + 110  # the third makes the second go


def test_without_tiers_it_is_computed_again() -> None:
    """The same without a host: a step, and the loss is known as eviction."""
    totals = run(three(), SMALL).record.totals

    assert totals.host_tokens == totals.host_written_tokens == 0
    assert totals.recompute_evicted_tokens == 90


def test_two_fetches_share_the_pipe_of_their_host() -> None:
    """Two prompts that come back at once: 240 tokens go out for them, then one comes after the other."""
    limits = replace(SMALL, num_kv_blocks=24)
    draws = [
        RequestDraw(0.0, 110, 1, None, FIRST),
        RequestDraw(5.0, 110, 1, None, OTHER),
        RequestDraw(10.0, 240, 1, None, ((9000, 240),)),
        RequestDraw(30.0, 110, 1, None, FIRST),
        RequestDraw(30.0, 110, 1, None, OTHER),
    ]
    outcome = run(draws, replace(limits, max_num_batched_tokens=1000), host=HOST)

    assert ttfts(outcome) == [1.0, 1.0, 1.0, 2.4 + 10.0 + 1.0, 2.4 + 20.0 + 1.0]


def test_a_transfer_waits_for_what_is_being_written() -> None:
    """At five tokens a second each prompt takes 22 s to be written, one after the other; then the first is read."""
    slow = replace(HOST, write_bytes_per_s=5.0, max_write_backlog_s=1000.0)
    outcome = run(three(), SMALL, host=slow)

    # the first goes out from 21 s on, when the step that took its place is over
    assert ttfts(outcome)[2] == pytest.approx(21.0 + 2 * 22.0 + 9.0 + 1.0 - 40.0)


def test_a_host_that_cannot_keep_up_gives_blocks_up() -> None:
    """While the first prompt is still being written, the next eviction is not queued behind it for long."""
    slow = replace(HOST, write_bytes_per_s=5.0, max_write_backlog_s=1.0)
    totals = run(three(), SMALL, host=slow).record.totals

    assert totals.host_written_tokens == 110
    assert totals.unwritten_tokens == 110


def test_a_node_that_dies_takes_its_host_memory_along() -> None:
    """After the restart nothing is found, and the session's history is computed again because of the failure."""
    outcome = run(three(200.0), SMALL, host=HOST, **fault(100.0))
    totals = outcome.record.totals

    assert totals.host_tokens == totals.cached_prompt_tokens == 0
    assert totals.recompute_failed_tokens == 100


def test_the_remote_pool_outlives_a_node() -> None:
    """What was evicted to the pool before the fault comes back after it: ten blocks, at twenty tokens a second."""
    outcome = run(three(200.0), SMALL, remote=REMOTE, **fault(100.0))
    totals = outcome.record.totals

    assert totals.remote_tokens == 100
    assert totals.recompute_failed_tokens == 0
    assert ttfts(outcome)[2] == pytest.approx(5.0 + 0.5 + 1.0)


def test_another_replica_finds_a_prefix_in_the_pool() -> None:
    """Taken in turn, the first prompt returns to the replica that never saw it, and is fetched instead of computed."""
    first, other, again = three(80.0)
    draws = [first, RequestDraw(10.0, 20, 1), other, again]
    outcome = run(draws, SMALL, replicas=2, router="round_robin", remote=REMOTE)
    totals = outcome.record.totals
    alone = run(draws, SMALL, replicas=2, router="round_robin")

    assert totals.remote_tokens == 100
    assert totals.recompute_elsewhere_tokens == 0
    assert alone.record.totals.recompute_elsewhere_tokens == 100


def test_what_the_host_evicts_goes_to_the_pool() -> None:
    """A host of one prompt: the first went on to the pool when the second came, and is found there."""
    outcome = run(
        [*three()[:2], RequestDraw(30.0, 110, 1, None, ((7000, 110),)), three(60.0)[2]],
        SMALL,
        host=replace(HOST, num_blocks=11),
        remote=REMOTE,
    )
    totals = outcome.record.totals

    assert totals.remote_written_tokens >= 110
    assert (totals.host_tokens, totals.remote_tokens) == (0, 100)


def swapped(host: HostPlan, limits: EngineLimits | None = None) -> Outcome:
    draws = [RequestDraw(0.0, 20, 20), RequestDraw(0.0, 20, 20)]
    return run(draws, limits or replace(LIMITS, num_kv_blocks=6), host=host)


def test_a_swapped_out_request_comes_back_and_decodes_on() -> None:
    """Preempted at 11 s with 30 tokens; two blocks stay on the GPU, ten tokens come back, none is computed again."""
    outcome = swapped(replace(HOST, swap=True))
    totals = outcome.record.totals
    assert outcome.record.rows is not None

    # the older one leaves at 20 s; a second for the transfer, after 0.3 s for what was evicted at the end; then 9 steps
    assert totals.preemptions == 1
    assert (totals.swapped_tokens, totals.host_tokens, totals.prefilled_tokens) == (30, 10, 40)
    assert totals.recompute_preempted_tokens == 0
    assert sorted(row[5] for row in outcome.record.rows) == [20.0, 20.0 + 0.3 + 1.0 + 9.0]


def test_swap_falls_back_to_computing_again() -> None:
    """A host of two blocks has no room for three: the request computes what it does not find, as without swap."""
    full = swapped(replace(HOST, num_blocks=2, swap=True))
    plain = swapped(replace(HOST, num_blocks=2))

    assert full.record.totals.swapped_tokens == 0
    assert full.record.totals.recompute_preempted_tokens > 0
    assert full.record.rows == plain.record.rows


def test_tiers_that_nothing_is_evicted_to_change_nothing() -> None:
    """With room on the GPU for everything, a run with tiers is the run without, bit for bit."""
    draws = [RequestDraw(3.0 * i, 60 + i, 7, str(i % 5), ((i % 5 << 20, 60 + i),)) for i in range(40)]
    with_tiers = run(draws, replace(LIMITS, num_kv_blocks=1000), host=HOST, remote=REMOTE)
    without = run(draws, replace(LIMITS, num_kv_blocks=1000))

    assert with_tiers.record.totals == without.record.totals
    assert with_tiers.record.rows == without.record.rows


def test_memory_of_the_tiers_is_bounded_by_their_blocks() -> None:
    """After thousands of sessions the trees of host and pool have few nodes, and nothing else grows."""
    draws = [
        RequestDraw(40.0 * (5 * s + t), 30 * (t + 1), 5, str(s), ((0, 20), (s << 20, 30 * t + 10)), None)
        for s in range(1, 300)
        for t in range(5)
    ]
    plan = ClusterPlan(
        limits=replace(LIMITS, num_kv_blocks=40),
        replicas=1,
        nodes_per_replica=1,
        horizon_s=1e6,
        host=replace(HOST, num_blocks=100, read_bytes_per_s=1000.0, swap=True),
        remote=replace(REMOTE, num_blocks=200),
    )
    engine = Cluster(plan, OneSecond(), Load(iter(draws)), Streams(1))
    outcome = engine.run()
    tiers = engine.replicas[0].ranks[0].source

    assert outcome.record.totals.completed == len(draws)
    assert outcome.record.totals.remote_written_tokens > 10_000
    assert sum(1 for _ in tiers._host.tier.tree.nodes()) <= 100
    assert sum(1 for _ in tiers._remote.tier.tree.nodes()) <= 200
    assert len(tiers.pending) <= 40
    assert not tiers._host.swapped


def test_the_gap_of_a_swapped_out_request_is_its_absence() -> None:
    """Every gap is a second but one: from the token at 11 s to the one that follows the transfer, at 22.3 s."""
    itl = swapped(replace(HOST, swap=True)).record.histograms["itl_s"]

    assert itl.count == 19 + 19
    assert itl.sum == pytest.approx(37.0 + 11.3)
