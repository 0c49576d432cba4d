"""Limits of tenants at the gateway: who is turned away, when he comes through, and what is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from simpy import Event

import sim
from sim.engine.clock import LAST, call_later
from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits, TenantLimit
from sim.engine.tenant_limits import Bucket
from sim.errors import ScenarioError
from sim.report.verdict import losses
from sim.simulation.scheduler import tenant_limits
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.engine_cases import Case, cases
from tests.study_cases import POISSON, simulated
from tests.unit.test_engine_rules import OneSecond, latencies

CLIENT = ClientPolicy(max_retries=5, retry_backoff_s=2.0, retry_backoff_factor=1.0)


def run(requests: list[tuple[float, int, int, int]], *limits: TenantLimit, client: ClientPolicy = CLIENT) -> Outcome:
    """Serve (arrival, prompt, output, tenant) requests behind a gateway, in steps of one second."""
    draws = [RequestDraw(*request[:3], tenant=request[3]) for request in requests]
    engine = EngineLimits(8, 100, 10, 1000, 10_000)
    plan = ClusterPlan(engine, 1, 1, 1000.0, record_requests=True, client=client, tenant_limits=limits)
    return Cluster(plan, OneSecond(), Load(iter(draws)), Streams(1)).run()


def test_one_request_at_a_time() -> None:
    """The second of a tenant is turned away thrice, 2 s apart, and let in at 6.25 s; another tenant is not touched."""
    outcome = run(
        [(0.0, 10, 5, 0), (0.25, 10, 5, 0), (0.5, 10, 5, 1)],
        TenantLimit(0, max_concurrent_requests=1),
    )
    totals = outcome.record.totals

    assert latencies(outcome) == [(1.0, 5.0), (7.0, 11.0), (1.5, 5.5)]
    assert (totals.throttled, totals.retries, totals.completed) == (3, 3, 3)


def test_who_is_turned_away_too_often_fails() -> None:
    """Without retries left the request counts as failed, and the engine never saw it."""
    client = replace(CLIENT, max_retries=1)
    outcome = run([(0.0, 10, 50, 0), (1.0, 10, 5, 0)], TenantLimit(None, max_concurrent_requests=1), client=client)
    totals = outcome.record.totals

    assert (totals.throttled, totals.failed, totals.completed) == (2, 1, 1)
    assert totals.prefilled_tokens == 10


def test_the_star_gives_each_tenant_its_own() -> None:
    """Two tenants without an entry have one seat each; a named one has its own limit instead."""
    star, named = TenantLimit(None, max_concurrent_requests=1), TenantLimit(2, max_concurrent_requests=2)
    outcome = run([(0.0, 10, 5, tenant) for tenant in (0, 1, 2, 2)], star, named)

    assert outcome.record.totals.throttled == 0
    assert run([(0.0, 10, 5, tenant) for tenant in (0, 0, 2, 2)], star, named).record.totals.throttled == 3


def test_a_token_bucket() -> None:
    """Two at once, then one per half second; more than its size passes when it is full, and leaves debt."""
    bucket = Bucket(2.0, 2.0)
    taken = []
    for at_s in (0.0, 0.0, 0.0, 0.5, 0.75, 1.0):
        taken.append(bucket.covers(1.0, at_s))
        if taken[-1]:
            bucket.take(1.0)
    assert taken == [True, True, False, True, False, True]

    assert bucket.covers(10.0, 5.0)
    bucket.take(10.0)
    assert not bucket.covers(1.0, 9.4)
    assert bucket.covers(1.0, 9.5)


def test_tokens_per_minute() -> None:
    """600 tokens a minute are 10 per second: after 600 at once the next 20 pass at 2 s, when they are tried again."""
    outcome = run([(0.0, 590, 10, 0), (0.0, 10, 10, 0)], TenantLimit(None, tokens_per_min=600.0))

    assert outcome.record.totals.throttled == 1
    assert sorted(ttft for ttft, _ in latencies(outcome)) == [6.0, 6.0]  # the prompt of 590 takes six steps


@given(cases(tight=True, faults=True))
@settings(max_examples=60)
def test_seats_are_given_back_whatever_happens(case: Case) -> None:
    """Attempts inside by the limits = attempts inside by the client, never above the limit, at faults and timeouts."""
    plan = replace(case.plan, tenant_limits=(TenantLimit(None, max_concurrent_requests=2),))
    cluster = Cluster(plan, case.law, Load(case.draws(), case.concurrency), Streams(case.seed))
    limits, seen = cluster.clients._limits, []
    assert limits is not None

    def check(_event: Event) -> None:
        account = limits._account(0)
        assert account is not None
        assert account.inside == cluster.clients._in_flight <= 2
        seen.append(account.inside)

    for at_s in (0.1, 0.9, 2.0, *{change.at_s for change in plan.transitions}):
        call_later(cluster.env, at_s, LAST, check)
    cluster.run()


def scenario(**limit: object) -> sim.Scenario:
    path = Path(__file__).parents[2] / "scenarios" / "glm52_fp8_8xh200.yaml"
    return sim.load(path).with_({"router.tenant_limits": [limit]})


def test_names_become_indices() -> None:
    """A name stands for its place among the tenants of the workload; without names the index itself is the name."""
    given_ = scenario(tenant="batch", rate_rps=2.0)
    assert tenant_limits(given_, ("chat", "batch")) == (TenantLimit(1, rate_rps=2.0),)
    assert tenant_limits(scenario(tenant="3", max_concurrent_requests=4))[0].tenant == 3
    assert tenant_limits(scenario(tenant="*", tokens_per_min=1e6))[0].tenant is None
    with pytest.raises(ScenarioError, match=r"router.tenant_limits\[0\].tenant.*batch"):
        tenant_limits(given_, ("chat",))


@pytest.mark.parametrize(
    ("limit", "words"),
    [({"tenant": "0"}, "sets no limit"), ({"tenant": "0", "max_concurrent_requests": 1, "burst": 3}, "burst belongs")],
)
def test_an_entry_must_mean_something(limit: dict[str, object], words: str) -> None:
    """An entry without a limit, and a burst without a rate, are refused."""
    with pytest.raises(ScenarioError, match=words):
        scenario(**limit)


def test_throttled_attempts_are_counted_apart() -> None:
    """A result names them where there are any, and has no such line without limits."""
    load = {"workload.arrivals": POISSON, "run.replications": 1}
    limited = simulated({**load, "router.tenant_limits": [{"tenant": "*", "max_concurrent_requests": 1}]})

    assert limited.counts["throttled"] > 0
    assert any("over a tenant's limit" in loss for loss in losses(limited.counts))
    assert "throttled" not in simulated(load).counts
