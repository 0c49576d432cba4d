"""Tenants in the cluster, against hand-computed timelines: every step lasts one second."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from sim.engine.cluster import Cluster, Load
from sim.engine.plan import ClientPolicy, ServiceLevel
from sim.engine.throttle import Throttled
from sim.errors import IdentityError
from sim.streams import Streams
from sim.workload.batch import Pile
from sim.workload.request import RequestDraw
from tests.fault_cases import played
from tests.unit.test_sessions_client import LIMITS, OneSecond, Scripted, plan


def job(at_s, tenant, output_tokens=2, due_s=math.inf, input_tokens=10):
    return RequestDraw(at_s, input_tokens, output_tokens, None, None, None, tenant, 0, due_s)


def run(open_draws, throttled=(), piles=(), slos=None, names=("a", "b"), **changes):
    slos = slos or (ServiceLevel(),) * len(names)
    load = Load(iter(open_draws), tenants=names, slos=slos, piles=tuple(piles), throttled=tuple(throttled))
    return Cluster(plan(**changes), OneSecond(), load, Streams(1)).run()


def ends(outcome):
    return sorted((row[0], round(row[0] + row[5], 9)) for row in outcome.record.rows)


def test_a_part_with_a_limit_sends_the_next_when_one_ends():
    """Two jobs in flight: the third is sent when the first ends, and is in the batch after the one that forms then."""
    jobs = [job(0.0, 1, 2), job(0.0, 1, 4), job(0.0, 1, 1), job(0.0, 1, 1)]
    outcome = run([job(1.0, 0, 1)], [Throttled(1, iter(jobs), 2)])
    assert ends(outcome) == [(0.0, 2.0), (0.0, 4.0), (1.0, 2.0), (2.0, 4.0), (4.0, 5.0)]
    assert outcome.end_s == 5.0, "the run ends with the last job"
    assert [total.arrived for total in outcome.record.tenants.totals] == [1, 4]


def test_no_job_is_sent_before_its_release():
    """Places of a part wait for the release of the next pile, and the run with them."""
    jobs = [job(0.0, 1, 1), job(10.0, 1, 1), job(10.0, 1, 1), job(20.0, 1, 1)]
    outcome = run([], [Throttled(1, iter(jobs), 2, pause_s=3.0)])
    assert ends(outcome) == [(0.0, 1.0), (10.0, 11.0), (10.0, 11.0), (20.0, 21.0)]


def test_a_closed_loop_pauses_beside_open_load():
    """A caller of one part thinks between its requests; each part keeps its own number."""
    calls, others = [job(0.0, 0, 2)] * 3, [job(0.0, 1, 3)] * 2
    outcome = run([], [Throttled(0, iter(calls), 1, 2.0), Throttled(1, iter(others), 1, 1.0)])
    assert ends(outcome) == [(0.0, 2.0), (0.0, 3.0), (4.0, 6.0), (4.0, 7.0), (8.0, 10.0)]


def test_sessions_of_a_part_replace_each_other():
    """One session at a time of one part: the next begins when the last call of the one before is answered."""
    scripts = [Scripted("a", (0.0, 10, 2), (1.0, 10, 1)), Scripted("b", (0.0, 10, 1))]
    for script in scripts:
        script.tenant = 1
    outcome = run([job(0.0, 0, 1)], [Throttled(1, iter(scripts), 1)])
    assert ends(outcome) == [(0.0, 1.0), (0.0, 2.0), (3.0, 4.0), (4.0, 5.0)]
    assert outcome.record.tenants.totals[1].completed == 3


def test_a_part_pauses_after_a_request_that_failed():
    """A refused job frees its place after the pause for failures, so that an outage is no endless loop."""
    jobs = [job(0.0, 1, 1, input_tokens=600)] * 3
    outcome = run([], [Throttled(1, iter(jobs), 1)], client=ClientPolicy(failure_pause_s=7.0))
    assert outcome.record.tenants.totals[1].refused == 3
    assert outcome.end_s == 21.0


def test_max_requests_stops_parts_with_a_limit():
    """A limit on requests counts those of every part."""
    outcome = run([job(0.5, 0, 1)], [Throttled(1, iter([job(0.0, 1, 1)] * 9), 1)], max_requests=4)
    assert outcome.record.totals.arrived == outcome.record.totals.completed == 4


def test_jobs_are_judged_by_their_due_time():
    """Two of three jobs are on time; lateness and the completion of the pile are those of the last."""
    pile = Pile(0.0, 3.0, 3)
    outcome = run(
        [], [Throttled(1, iter([job(0.0, 1, 1, 3.0), job(0.0, 1, 2, 3.0), job(0.0, 1, 4, 3.0)]), 1)], [(1, pile)]
    )
    tally = outcome.record.tenants
    (state,) = tally.piles.states
    assert (state.completed, state.on_time, state.last_s) == (3, 2, 7.0)
    assert tally.piles.lateness_s[1].maximum == pytest.approx(4.0)
    assert tally.totals[1].good == outcome.record.totals.good == 2


def test_a_job_with_a_due_time_is_not_timed_out():
    """A request that outlasts the timeout is withdrawn; a job that does is waited for."""
    patient = {"client": ClientPolicy(request_timeout_s=3.0, max_retries=0)}
    outcome = run([job(0.0, 0, 9), job(0.0, 1, 9, 100.0)], piles=[(1, Pile(0.0, 100.0, 1))], **patient)
    assert [(total.abandoned, total.completed) for total in outcome.record.tenants.totals] == [(1, 0), (0, 1)]


def test_each_tenant_has_limits_of_its_own():
    """The same request is good for a tenant without limits and bad for one with a short one."""
    outcome = run([job(0.0, 0, 5), job(0.0, 1, 5)], slos=(ServiceLevel(e2el_s=2.0), ServiceLevel()))
    assert [total.good for total in outcome.record.tenants.totals] == [0, 1]
    assert outcome.record.totals.good == 1


def test_latencies_by_tenant_begin_after_the_warm_up():
    """Counters run from the start, the window from the warm-up, latencies for those that arrive after it."""
    outcome = run([job(0.0, 0, 1), job(6.0, 0, 3), job(6.5, 1, 1)], warmup_s=5.0)
    tally = outcome.record.tenants
    assert [total.completed for total in tally.totals] == [2, 1]
    assert [total.completed for total in tally.opened] == [1, 0]
    assert [h["ttft_s"].count for h in tally.histograms] == [1, 1]
    assert tally.histograms[0]["e2el_s"].maximum == pytest.approx(3.0)
    assert [h["tpot_s"].count for h in tally.histograms] == [1, 0]


def test_a_load_without_tenants_keeps_no_tally():
    """One load alone has no figures by tenant, and the same times as before."""
    outcome = Cluster(plan(), OneSecond(), Load(iter([job(0.0, 0, 2)])), Streams(1)).run()
    assert outcome.record.tenants is None
    assert ends(outcome) == [(0.0, 2.0)]


@pytest.mark.parametrize("seed", range(12))
def test_identities_hold_in_random_mixtures(seed):
    """Few KV blocks, faults, timeouts, sessions and piles side by side: all identities hold, and tenants add up."""
    rng = random.Random(seed)  # noqa: S311 - no secrets here
    times = sorted(rng.uniform(0, 300) for _ in range(60))
    requests = [job(at_s, 0, rng.randint(1, 30), input_tokens=rng.randint(1, 120)) for at_s in times]
    jobs = [job(10.0, 1, rng.randint(1, 20), 200.0, rng.randint(1, 600)) for _ in range(40)]
    scripts = [Scripted(str(n), *[(rng.uniform(0, 9), rng.randint(1, 90), rng.randint(1, 9))] * 3) for n in range(9)]
    for script in scripts:
        script.tenant = 2
    limits = replace(LIMITS, num_kv_blocks=20, max_num_seqs=4, max_model_len=190)
    outcome = run(
        requests,
        [Throttled(1, iter(jobs), rng.randint(1, 5)), Throttled(2, iter(scripts), 2, 4.0)],
        [(1, Pile(10.0, 200.0, 40))],
        names=("a", "b", "c"),
        limits=limits,
        horizon_s=rng.choice((150.0, 400.0, 5000.0)),
        transitions=played((60.0, 0), spares=1, detect_s=3.0, restart_s=10.0),
        client=ClientPolicy(request_timeout_s=60.0, max_retries=2, retry_backoff_s=1.0),
    )
    tally = outcome.record.tenants
    assert sum(total.arrived - total.ended for total in tally.totals) == outcome.unfinished
    assert tally.piles.states[0].completed == tally.totals[1].completed
    assert len(tally.rows) == len(outcome.record.rows) == outcome.record.totals.completed
    if outcome.end_s > 400.0:
        assert outcome.end_s < 5000.0, "the run ends when every part has run out"
        assert [total.arrived for total in tally.totals[:2]] == [60, 40]


def test_tenants_must_add_up():
    """A counter that is off by one is found at the end of the run."""
    outcome = run([job(0.0, 0, 2), job(0.0, 1, 2)])
    outcome.record.tenants.totals[0].completed += 1
    with pytest.raises(IdentityError, match="completed of all tenants: 3 against 2"):
        outcome.record.tenants.close(outcome.record.totals)


def test_faults_and_piles_together():
    """Jobs lost to a fault are sent again, in their place; every fate is counted for its tenant."""
    jobs = [job(0.0, 1, 4, 50.0) for _ in range(4)]
    outcome = run(
        [job(0.0, 0, 3)],
        [Throttled(1, iter(jobs), 2)],
        [(1, Pile(0.0, 50.0, 4))],
        transitions=played((2.5, 0), spares=1, detect_s=1.0, restart_s=2.0),
        client=ClientPolicy(max_retries=3, retry_backoff_s=10.0),
    )
    assert [total.completed for total in outcome.record.tenants.totals] == [1, 4]
    assert outcome.record.tenants.piles.states[0].on_time == 4
    assert outcome.record.totals.killed == 3
    assert [row[0] for row in sorted(outcome.record.rows)] == [0.0, 0.0, 0.0, 16.5, 16.5]
