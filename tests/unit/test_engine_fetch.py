"""KV that comes over a link, on timelines computed by hand: a step lasts one second and computes 100 tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from simpy import Environment

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.fetch import Fetch
from sim.engine.link import Link, call_at
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits
from sim.engine.request import Request
from sim.faults.phases import exponential
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.fault_cases import played
from tests.unit.test_engine_prefix_cache import LIMITS, OneSecond, ttfts

PLAIN = replace(LIMITS, enable_prefix_caching=False)


class Elsewhere:
    """A source behind one link that has the first `tokens` tokens of every prompt that is as long."""

    def __init__(self, env: Environment, tokens: int, block_size: int, tokens_per_s: float) -> None:
        self.env = env
        self.tokens = tokens
        self.block_size = block_size
        self.link = Link(env, tokens_per_s)

    def find(self, request: Request, found: int) -> Fetch | None:
        tokens = self.tokens - found * self.block_size
        return Fetch(tokens) if tokens > 0 and request.target_tokens >= self.tokens else None

    def swap_out(self, request: Request, tokens: int) -> None:
        pass

    def forget(self, request: Request) -> None:
        pass

    def start(self, request: Request, fetch: Fetch, done: Callable[[], None]) -> None:
        call_at(self.env, self.link.send(fetch.tokens), done)


def run(
    requests: list[RequestDraw],
    tokens: int,
    limits: EngineLimits = PLAIN,
    tokens_per_s: float = 10.0,
    *,
    generated: int = 0,
    **plan: object,
) -> Outcome:
    settings = {"replicas": 1, "nodes_per_replica": 1, "horizon_s": 10_000.0, **plan}
    cluster = Cluster(
        ClusterPlan(limits=limits, record_requests=True, **settings),  # type: ignore[arg-type]
        OneSecond(),
        Load(iter(requests)),
        Streams(1),
    )
    replica = cluster.replicas[0]
    for rank in replica.ranks:
        rank.source = Elsewhere(cluster.env, tokens, limits.block_size, tokens_per_s)
    if generated:
        submit = replica.submit

        def sampled(request: Request, now: float) -> None:
            request.generated = generated
            request.first_token_s = now
            cluster.record.totals.emitted_tokens += generated
            submit(request, now)

        replica.submit = sampled  # type: ignore[method-assign]
    return cluster.run()


def test_a_fetched_prefix_costs_its_transfer_and_one_step() -> None:
    """200 of 250 tokens at ten a second take 20 s; the rest is one chunk."""
    outcome = run([RequestDraw(0.0, 250, 1)], 200)

    assert ttfts(outcome) == [21.0]
    assert outcome.record.totals.fetched_tokens == 200
    assert outcome.record.totals.prefilled_tokens == 50
    assert outcome.record.totals.idle_s == 20.0


def test_transfers_of_one_link_are_served_in_turn() -> None:
    """Two fetches at once: the second is over when both are through."""
    assert ttfts(run([RequestDraw(0.0, 110, 1), RequestDraw(0.0, 110, 1)], 100)) == [11.0, 21.0]


def test_others_run_on_and_the_fetched_joins_at_a_boundary() -> None:
    """A transfer from 1 to 6.5 s takes effect at the boundary at 7 s; who decodes meanwhile loses no time."""
    outcome = run([RequestDraw(0.0, 50, 20), RequestDraw(0.5, 60, 1)], 55)
    assert outcome.record.rows is not None

    assert ttfts(outcome) == [1.0, 7.5]
    assert outcome.record.rows[1][5] == pytest.approx(20.0)


def test_where_everything_comes_the_request_decodes_at_once() -> None:
    """A request that has one token already and fetches its whole prompt takes nine steps for the other nine."""
    outcome = run([RequestDraw(0.0, 100, 10)], 100, generated=1)
    assert outcome.record.rows is not None

    assert outcome.record.rows[0][5] == pytest.approx(10.0 + 9.0)
    assert outcome.record.totals.prefilled_tokens == 0


def test_a_request_that_is_withdrawn_while_it_fetches_leaves_no_trace() -> None:
    """Its client gives up after 5 s; the transfer goes on for nobody, and a second request waits for the pipe."""
    client = ClientPolicy(max_retries=0, request_timeout_s=5.0)
    outcome = run([RequestDraw(0.0, 100, 1), RequestDraw(6.0, 95, 1)], 90, client=client)

    assert outcome.record.totals.abandoned == 2
    assert outcome.record.totals.fetched_tokens == 0
    assert outcome.unfinished == 0


def test_a_replica_that_dies_loses_what_is_on_its_way() -> None:
    """Killed at 5 s, up again at 11 s, the request fetches once more, behind the transfer that nobody wants."""
    lost = played((5.0, 0), repair=exponential(1.0), spares=1, detect_s=1.0, restart_s=5.0)
    client = ClientPolicy(max_retries=20, retry_backoff_s=1.0, retry_backoff_factor=1.0)
    outcome = run([RequestDraw(0.0, 110, 1)], 100, transitions=lost, client=client)

    assert ttfts(outcome) == [pytest.approx(22.0)]
    assert outcome.record.totals.fetched_tokens == 100


def test_a_fetching_request_can_be_preempted() -> None:
    """It holds three of five blocks when the older one needs a third at 30 s: it starts again when that has left.

    The older one fetches until 20 s and decodes until 40 s; the second transfer, for nobody any more, ends then too.
    """
    limits = replace(PLAIN, num_kv_blocks=5)
    outcome = run([RequestDraw(0.0, 11, 20), RequestDraw(1.0, 30, 1)], 10, limits, tokens_per_s=0.5)

    assert outcome.record.totals.preemptions == 1
    assert outcome.record.totals.fetched_tokens == 20
    assert ttfts(outcome) == [21.0, 60.0]


def test_fetched_blocks_are_found_by_others() -> None:
    """With a prefix cache, the second request with the same prompt finds on the GPU what the first had fetched."""
    prompt = ((0, 110),)
    requests = [RequestDraw(0.0, 110, 1, None, prompt), RequestDraw(50.0, 110, 1, None, prompt)]
    outcome = run(requests, 100, LIMITS)

    assert ttfts(outcome) == [11.0, 1.0]
    assert outcome.record.totals.cached_prompt_tokens == outcome.record.totals.fetched_tokens == 100


def test_a_request_keeps_the_blocks_that_it_took_for_its_prompt() -> None:
    """Its rest is computed in three chunks, two in one round; its blocks, though empty yet, are not for others."""
    limits = replace(PLAIN, num_kv_blocks=31, pipeline_parallel_size=2)
    outcome = run([RequestDraw(0.0, 300, 1), RequestDraw(5.5, 20, 1)], 50, limits)

    assert ttfts(outcome) == [7.0, 2.0]  # fetched at 5 s, two rounds; then the other one, whose first stage was free


def test_nobody_waits_for_a_transfer_because_of_who_was_put_back_beside_it() -> None:
    """One outgrows the pool at 7 s, while 50 tokens of another come until 50 s: a short prompt has its room at once.

    That was kept out since 2.5 s. The one put back needs four blocks, and has them when the first one leaves at 51 s.
    """
    limits = replace(PLAIN, num_kv_blocks=9, scheduling_policy="shortest_prefill")
    draws = [RequestDraw(0.0, 60, 1), RequestDraw(1.0, 25, 10), RequestDraw(2.5, 20, 1)]
    outcome = run(draws, 50, limits, 1.0)
    assert outcome.record.rows is not None

    assert outcome.record.totals.preemptions == 1
    assert ttfts(outcome) == [51.0, 1.0, 5.5]
    assert [round(row[5], 6) for row in sorted(outcome.record.rows)] == [51.0, 54.0, 5.5]
