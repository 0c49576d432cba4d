"""Replica states against closed forms: one replica, steps of known length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits, HealthPlan
from sim.errors import SimError
from sim.faults.transition import Action, Transition
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.engine_cases import KinkedLaw

STEP_S = 0.25
EVEN = KinkedLaw(
    attention_cap_tokens=0,
    base_s=STEP_S,
    seq_s=0.0,
    context_s=0.0,
    capped_s=0.0,
    above_s=0.0,
    chunk_token_s=0.0,
    shared_base_s=0.0,
)


class EvenLaw(KinkedLaw):
    """Every step takes the same time, whatever it does."""

    def shared_s(self, _total: int, _busiest: int, _prefill: bool) -> float:
        return 0.0


LAW = EvenLaw(**{name: getattr(EVEN, name) for name in EVEN.__dataclass_fields__})
LIMITS = EngineLimits(
    max_num_seqs=8, max_num_batched_tokens=1024, block_size=16, num_kv_blocks=1000, max_model_len=10_000
)


def plan_of(*transitions: Transition, **changes: object) -> ClusterPlan:
    plan = ClusterPlan(LIMITS, 1, 1, 1000.0, record_requests=True, transitions=transitions)
    return replace(plan, **changes)  # type: ignore[arg-type]


def run(plan: ClusterPlan, requests: Sequence[tuple[float, int, int]]) -> Outcome:
    return Cluster(plan, LAW, Load(iter([RequestDraw(*request) for request in requests])), Streams(1)).run()


def seconds_in(outcome: Outcome) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for _, condition, _, spent in outcome.conditions:
        seconds[condition] = seconds.get(condition, 0.0) + spent
    return seconds


def change(
    at_s: float, action: Action, value: float = 0.0, replica: int = 0, ranks: tuple[int, ...] = ()
) -> Transition:
    return Transition(at_s, replica, action, "test", value, ranks)


def test_a_pace_stretches_the_steps_that_begin_after_it() -> None:
    """40 steps of 0.25 s: at 5.1 s the step that ends at 5.25 is under way; the 19 after it take 3 times as long."""
    outcome = run(plan_of(change(5.1, Action.PACE, 3.0)), [(0.0, 10, 40)])

    assert outcome.record.rows is not None
    assert outcome.record.rows[0][5] == pytest.approx(5.25 + 19 * 3 * STEP_S, rel=1e-12)
    assert seconds_in(outcome)["slow"] == pytest.approx(outcome.end_s - 5.1)


def test_a_pace_of_one_restores_the_design() -> None:
    """Twice as slow between 5 s and 8 s: 20 steps before, 6 slow ones, 14 after."""
    outcome = run(plan_of(change(5.0, Action.PACE, 2.0), change(8.0, Action.PACE, 1.0)), [(0.0, 10, 40)])

    assert outcome.record.rows is not None
    # a step that would end at the very instant of the change is over before the next begins at the new pace
    assert outcome.record.rows[0][5] == pytest.approx(20 * STEP_S + 6 * 2 * STEP_S + 14 * STEP_S, rel=1e-12)


def test_a_pause_lets_the_step_under_way_end_and_loses_nothing() -> None:
    """A pause of 3 s at 5.1 s: steps go on at 8.1 s where they stood at 5.25 s; one gap is 2.85 s longer."""
    outcome = run(plan_of(change(5.1, Action.PAUSE, 3.0)), [(0.0, 10, 40)])
    totals = outcome.record.totals

    assert outcome.record.rows is not None
    assert outcome.record.rows[0][5] == pytest.approx(40 * STEP_S + 2.85, rel=1e-12)
    assert totals.paused_s == pytest.approx(2.85)
    assert totals.busy_s == pytest.approx(40 * STEP_S)
    assert outcome.record.histograms["itl_s"].sum == pytest.approx(39 * STEP_S + 2.85)
    assert totals.lost_tokens == totals.killed == 0
    assert seconds_in(outcome)["paused"] == pytest.approx(3.0)


def test_a_request_that_comes_during_a_pause_waits_for_its_end() -> None:
    """An idle replica that rests from 1 s to 6 s begins a request of 2 s at 6 s; a second pause prolongs the first."""
    late = run(plan_of(change(1.0, Action.PAUSE, 5.0)), [(2.0, 10, 4)])
    later = run(plan_of(change(1.0, Action.PAUSE, 5.0), change(3.0, Action.PAUSE, 6.0)), [(2.0, 10, 4)])

    assert late.end_s == pytest.approx(6.0 + 4 * STEP_S)
    assert later.end_s == pytest.approx(9.0 + 4 * STEP_S)
    assert late.record.totals.paused_s == pytest.approx(5.0)
    assert late.record.totals.idle_s == pytest.approx(1.0)


def test_a_hung_replica_still_gets_requests_and_loses_them_when_it_dies() -> None:
    """One client times out on a hung replica, the other is killed at DOWN, and both are served after UP."""
    client = ClientPolicy(max_retries=50, retry_backoff_s=1.0, retry_backoff_factor=1.0, request_timeout_s=10.0)
    plan = plan_of(change(1.1, Action.HANG), change(15.0, Action.DOWN), change(20.0, Action.UP), client=client)
    outcome = run(plan, [(0.0, 10, 20), (9.0, 10, 4)])
    totals = outcome.record.totals

    assert totals.timeouts == 1  # sent at 0 s, given up at 10 s, sent again at 11 s
    assert totals.killed == 2
    assert totals.completed == 2
    assert totals.hung_s == pytest.approx(13.9)
    assert totals.down_s == pytest.approx(5.0)
    assert totals.lost_tokens == 4
    assert seconds_in(outcome) == pytest.approx({"up": outcome.end_s - 18.9, "hung": 13.9, "down": 5.0})
    assert outcome.outage_causes == ("test",)


def test_a_draining_replica_finishes_what_it_has() -> None:
    """While replica 0 drains the other one gets all requests; afterwards it takes its turn again."""
    plan = plan_of(change(1.0, Action.DRAIN), change(8.0, Action.ADMIT), replicas=2, router="round_robin")
    requests = [(0.5, 10, 40), *((2.0 + 0.1 * index, 10, 1) for index in range(10)), (9.0, 10, 1), (9.1, 10, 1)]
    cluster = Cluster(plan, LAW, Load(iter([RequestDraw(*request) for request in requests])), Streams(1))
    sent: list[tuple[float, int]] = []
    for replica in cluster.replicas:
        submit = replica.submit
        replica.submit = lambda request, now, submit=submit, index=replica.index: (  # type: ignore[method-assign]
            sent.append((now, index)),
            submit(request, now),
        )[-1]
    outcome = cluster.run()

    assert all(index == 1 for at_s, index in sent if 1.0 < at_s < 8.0)
    assert {index for at_s, index in sent if at_s > 8.0} == {0, 1}
    assert outcome.record.totals.completed == len(requests)
    assert outcome.record.totals.killed == 0


def test_a_lost_rank_takes_its_requests_and_the_others_go_on() -> None:
    """Of two ranks with a request each one is lost at 5.1 s: the other is not delayed, the lost request starts anew."""
    plan = plan_of(
        change(5.1, Action.SHRINK, ranks=(0,)),
        change(30.0, Action.GROW, ranks=(0,)),
        limits=replace(LIMITS, data_parallel_size=2),
        client=ClientPolicy(retry_backoff_s=0.0),
    )
    outcome = run(plan, [(0.0, 10, 40), (0.0, 10, 41), (40.0, 10, 3)])
    rows = sorted(outcome.record.rows or (), key=lambda row: row[2])

    assert outcome.record.totals.killed == 1
    assert outcome.record.totals.lost_tokens == 20
    assert rows[2][5] == pytest.approx(41 * STEP_S)
    assert rows[1][5] == pytest.approx(5.25 + 40 * STEP_S)  # it joins the batch that forms next
    assert seconds_in(outcome)["degraded"] == pytest.approx(24.9)
    assert outcome.outages == ()


class TokenLaw(EvenLaw):
    """A step also takes 10 ms for every token of all ranks that share the experts."""

    def shared_s(self, total: int, _busiest: int, _prefill: bool) -> float:
        return 0.01 * total


def test_ranks_that_are_left_compute_the_experts_of_all() -> None:
    """One token on each of two ranks costs 20 ms; after one rank is lost, the token left costs as much.

    The GPU that is left holds the experts of both, so it has as much to do as before.
    """
    plan = plan_of(
        change(5.0, Action.SHRINK, ranks=(0,)), limits=replace(LIMITS, data_parallel_size=2), in_flight="fail"
    )
    law = TokenLaw(**{name: getattr(EVEN, name) for name in EVEN.__dataclass_fields__})
    load = Load(iter([RequestDraw(0.0, 1, 41), RequestDraw(0.0, 1, 41)]))
    outcome = Cluster(plan, law, load, Streams(1)).run()

    assert outcome.record.rows is not None
    assert [row[5] for row in outcome.record.rows] == [pytest.approx(41 * (STEP_S + 0.02))]
    assert outcome.record.totals.failed == 1


def test_a_replica_without_ranks_is_down() -> None:
    """Losing both ranks is an outage until UP brings all of them back."""
    plan = plan_of(
        change(1.0, Action.SHRINK, ranks=(0,)),
        change(2.0, Action.SHRINK, ranks=(1,)),
        change(3.0, Action.GROW, ranks=(0,)),
        change(9.0, Action.UP),
        limits=replace(LIMITS, data_parallel_size=2),
        client=ClientPolicy(max_retries=100, retry_backoff_s=1.0, retry_backoff_factor=1.0),
    )
    outcome = run(plan, [(1.5, 10, 40)])

    assert outcome.outages == ((0, 2.0, 9.0),)
    assert outcome.record.totals.completed == 1


@pytest.mark.parametrize(
    ("in_flight", "fate", "ttft_s", "e2el_s"),
    [
        ("fail", "failed", None, None),
        ("retry", "completed", 5.1 + 0.5 + STEP_S, 5.1 + 0.5 + 40 * STEP_S),
        ("migrate", "completed", STEP_S, 5.1 + 20 * STEP_S),
    ],
)
def test_what_becomes_of_a_request_in_flight(
    in_flight: str, fate: str, ttft_s: float | None, e2el_s: float | None
) -> None:
    """It fails; or it starts anew after the back-off; or it goes on at once, with its first token out long ago.

    The replica dies at 5.1 s with 20 of 40 tokens out. Migrated, prompt and output are prefilled in one step, which
    gives the next token.
    """
    plan = plan_of(
        *(change(5.1, Action.DOWN, replica=replica) for replica in (0,)),
        replicas=2,
        in_flight=in_flight,
        client=ClientPolicy(retry_backoff_s=0.5),
    )
    outcome = run(plan, [(0.0, 10, 40)])
    totals, rows = outcome.record.totals, outcome.record.rows

    assert getattr(totals, fate) == 1
    assert rows is not None
    if ttft_s is not None:
        assert rows[0][4] == pytest.approx(ttft_s)
        assert rows[0][5] == pytest.approx(e2el_s)
    assert totals.lost_tokens == (0 if in_flight == "migrate" else 20)
    assert totals.retries == (1 if in_flight == "retry" else 0)
    assert totals.migrated_tokens == (30 if in_flight == "migrate" else 0)


def test_a_migrated_request_keeps_every_gap() -> None:
    """The gap across a migration reaches from the last token at 5 s to the token of the second prefill at 5.35 s."""
    plan = plan_of(change(5.1, Action.DOWN), replicas=2, in_flight="migrate")
    outcome = run(plan, [(0.0, 10, 40)])

    assert outcome.record.histograms["itl_s"].count == 39
    assert outcome.record.histograms["itl_s"].sum == pytest.approx(38 * STEP_S + 0.35)


BREAKER = HealthPlan(check_interval_s=1e9, failures=3, window_s=60.0, cooldown_s=30.0, successes=2)


def sent_every_second(plan: ClusterPlan, count: int) -> Outcome:
    return run(replace(plan, client=ClientPolicy(max_retries=0)), [(1.0 + index, 10, 1) for index in range(count)])


def test_a_breaker_opens_cools_down_and_closes() -> None:
    """Three attempts reach a dead replica, then none for 30 s, then one in each cool-down until it is up again."""
    plan = plan_of(change(0.5, Action.DOWN), change(60.0, Action.UP), health=BREAKER)
    outcome = sent_every_second(plan, 100)
    totals = outcome.record.totals

    # at 1, 2, 3 s; circuit open until 33 s; one more failure; open until 63 s
    assert totals.misrouted == 4
    assert totals.failed == 4 + 29 + 29
    assert totals.completed == 100 - totals.failed


def test_a_router_that_knows_at_once_wastes_no_attempt() -> None:
    """With perfect knowledge nothing reaches the dead replica, and the first request after UP is served."""
    outcome = sent_every_second(plan_of(change(0.5, Action.DOWN), change(60.0, Action.UP)), 100)

    assert outcome.record.totals.misrouted == 0
    assert outcome.record.totals.completed == 41


def test_a_health_check_takes_a_replica_out_until_it_passes_one() -> None:
    """Checks every 20 s: dead from 25 s to 65 s, sent to until 40 s, and again from 80 s on."""
    checks = replace(BREAKER, check_interval_s=20.0, failures=1000)
    plan = plan_of(change(25.5, Action.DOWN), change(65.5, Action.UP), health=checks)
    outcome = sent_every_second(plan, 100)

    assert outcome.record.totals.misrouted == 14  # 26 to 39 s; the check at 40 s comes before the request
    assert outcome.record.totals.failed == 14 + 40


def test_a_health_check_finds_a_hung_replica() -> None:
    """Requests sent to a hung replica wait there; after the check at 20 s they are turned away."""
    checks = replace(BREAKER, check_interval_s=20.0, failures=1000)
    plan = plan_of(change(10.5, Action.HANG), health=checks, horizon_s=60.0)
    outcome = sent_every_second(plan, 50)

    assert outcome.unfinished == 9  # 11 to 19 s
    assert outcome.record.totals.failed == 31


def test_retries_end_where_the_budget_does() -> None:
    """With a tenth of a retry per request and two in hand, 100 requests to a dead replica have 2 + 10 retries."""
    client = ClientPolicy(max_retries=1, retry_backoff_s=0.1, retry_budget_frac=0.1, retry_budget_burst=2.0)
    plan = plan_of(change(0.0, Action.DOWN), client=client)
    outcome = run(plan, [(1.0 + index, 10, 1) for index in range(100)])
    totals = outcome.record.totals

    assert totals.failed == 100
    assert totals.retries == pytest.approx(12, abs=1)  # a tenth is no binary fraction
    assert totals.retries + totals.retries_denied == 100


def test_jitter_spreads_retries_within_its_share() -> None:
    """Two replications of the waits of many retries: all within 20 % of 1 s, on both sides of it."""
    client = ClientPolicy(max_retries=1, retry_backoff_s=1.0, retry_jitter_frac=0.2)
    plan = plan_of(change(0.0, Action.DOWN), client=client)
    requests = [(10.0 * index, 10, 1) for index in range(1, 90)]
    cluster = Cluster(plan, LAW, Load(iter([RequestDraw(*request) for request in requests])), Streams(1))
    outcome = cluster.run()
    waits = outcome.record.sojourn_s / len(requests)

    assert waits == pytest.approx(1.0, abs=4.5 * 0.2 / 3**0.5 / len(requests) ** 0.5)
    assert waits != pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        change(-1.0, Action.DOWN),
        change(1.0, Action.DOWN, replica=1),
        change(1.0, Action.PACE, 0.0),
        change(1.0, Action.PAUSE, -1.0),
        change(1.0, Action.SHRINK, ranks=(1,)),
    ],
)
def test_transitions_that_make_no_sense_are_refused(wrong: Transition) -> None:
    """A replica or rank that there is not, a time before the start, a pace of zero."""
    with pytest.raises(SimError, match="Transition"):
        run(plan_of(wrong), [(0.0, 1, 1)])
