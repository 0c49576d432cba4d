"""Random transitions for engine tests, and a run that checks every identity at many instants."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

from hypothesis import strategies as st

from sim.engine.clock import LAST, call_later
from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.identities import check_identities
from sim.engine.plan import AutoscalerPlan, ClusterPlan, HealthPlan
from sim.faults.transition import Action, Transition
from sim.streams import Streams
from tests.engine_cases import Case

ACTIONS = (*Action, Action.DOWN, Action.UP, Action.UP, Action.PAUSE, Action.SHRINK)


def ranks_of(plan: ClusterPlan) -> list[int]:
    """Attention ranks of each replica, in the order in which transitions number them."""
    ranks = [plan.limits.data_parallel_size] * plan.replicas
    if plan.decode is not None:
        ranks += [plan.decode.limits.data_parallel_size] * plan.decode.replicas
    return ranks


@st.composite
def transitions(draw: st.DrawFn, plan: ClusterPlan, *, within_s: float) -> tuple[Transition, ...]:
    """Any changes of any replicas at any times; some at one instant, sometimes all replicas down at once."""
    ranks = ranks_of(plan)
    at = st.one_of(st.floats(0.0, within_s), st.sampled_from([0.0, 0.25 * within_s]))
    found = []
    for _ in range(draw(st.integers(0, 12))):
        replica = draw(st.integers(0, len(ranks) - 1))
        action = draw(st.sampled_from(ACTIONS))
        value = 0.0
        if action is Action.PACE:
            value = draw(st.sampled_from([1.0, 1.31, 2.7, 0.5]))
        elif action is Action.PAUSE:
            value = draw(st.sampled_from([0.0, 0.0317, 1.013, 9.7]))
        number = st.integers(0, ranks[replica] - 1)
        lost = tuple(draw(st.lists(number, max_size=3))) if action in (Action.SHRINK, Action.GROW) else ()
        found.append(Transition(draw(at), replica, action, draw(st.sampled_from(["a", "b"])), value, lost))
    if draw(st.booleans()):
        down_s, up_s = draw(at), draw(st.floats(0.0, within_s))
        found += [Transition(down_s, replica, Action.DOWN, "all") for replica in range(len(ranks))]
        found += [Transition(down_s + up_s, replica, Action.UP, "all") for replica in range(len(ranks))]
    return tuple(found)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, object]:
    """What becomes of requests in flight, and what the router knows."""
    health = HealthPlan(
        check_interval_s=draw(st.sampled_from([0.3, 60.0])),
        failures=draw(st.integers(1, 3)),
        window_s=draw(st.sampled_from([0.5, 60.0])),
        cooldown_s=draw(st.sampled_from([0.2, 5.0])),
        successes=draw(st.integers(1, 2)),
    )
    return {
        "in_flight": draw(st.sampled_from(["fail", "retry", "migrate", "migrate"])),
        "health": draw(st.sampled_from([None, health])),
    }


@st.composite
def autoscalers(draw: st.DrawFn, replicas: int) -> AutoscalerPlan:
    """One that changes its mind often."""
    least = draw(st.integers(1, replicas))
    return AutoscalerPlan(
        min_replicas=least,
        max_replicas=replicas,
        initial_replicas=draw(st.integers(least, replicas)),
        target=draw(st.sampled_from([0.7, 3.0])),
        metric=draw(st.sampled_from(["outstanding", "waiting"])),
        interval_s=draw(st.sampled_from([0.1, 0.5137])),
        provision_s=draw(st.sampled_from([0.0, 0.4])),
        success_prob=draw(st.sampled_from([0.3, 1.0])),
        restart_s=draw(st.sampled_from([0.0, 0.3])),
        scale_up_cooldown_s=draw(st.sampled_from([0.0, 0.6])),
        scale_down_cooldown_s=draw(st.sampled_from([0.0, 0.6])),
    )


@st.composite
def troubled(draw: st.DrawFn, of: st.SearchStrategy[Case]) -> Case:
    """A case with transitions and policies, on the scale of its load."""
    case = draw(of)
    within_s = min(case.plan.horizon_s, 2.0 * case.count / case.rate_rps + 3.0)
    plan = replace(case.plan, **draw(policies()))  # type: ignore[arg-type]
    client = replace(
        plan.client,
        retry_jitter_frac=draw(st.sampled_from([0.0, 0.2])),
        retry_backoff_max_s=draw(st.sampled_from([0.1, 30.0])),
        retry_budget_frac=draw(st.sampled_from([None, None, 0.2])),
        retry_budget_burst=draw(st.sampled_from([1.0, 10.0])),
    )
    plan = replace(plan, client=client, transitions=draw(transitions(plan, within_s=within_s)))
    if plan.decode is None and draw(st.integers(0, 3)) == 0:
        plan = replace(plan, autoscaler=draw(autoscalers(plan.replicas)))
    return replace(case, plan=plan)


def checked_run(case: Case, *, coalesce: bool = True, instants: int = 20) -> Outcome:
    """Run a case, and check all identities at `instants` instants on the way and just after every transition."""
    plan = replace(case.plan, coalesce=coalesce, record_requests=True)
    decode_law = None if plan.decode is None else replace(case.law, base_s=0.0070000311)
    cluster = Cluster(plan, case.law, Load(case.draws(), case.concurrency), Streams(case.seed), decode_law)

    def check(_event: object) -> None:
        cluster._settle()
        now, record = cluster.env.now, cluster.record
        check_identities(
            record,
            cluster.replicas,
            int(record.in_system.level),
            cluster._unfinished_s(now),
            now,
        )
        for replica in cluster.replicas:
            here = [request for rank in replica.ranks for request in (*rank.running, *rank.waiting)]
            kept = getattr(replica, "holds", ())
            assert replica.outstanding == len(here) + len(kept)
            assert replica.up or not here
        if cluster.handover is not None:
            cluster.handover.check()

    span_s = min(plan.horizon_s, 1.5 * case.count / case.rate_rps + 3.0)
    times = {span_s * (index + 0.5) / instants for index in range(instants)}
    times |= {transition.at_s for transition in plan.transitions}
    for at_s in times:
        call_later(cluster.env, at_s, LAST, check)
    outcome = cluster.run()
    in_conditions = sum(seconds for *_, seconds in outcome.conditions)
    assert isclose(in_conditions, len(cluster.replicas) * outcome.end_s, rel_tol=1e-9, abs_tol=1e-9)
    totals, capacity_s = outcome.record.totals, len(cluster.replicas) * outcome.end_s
    assert capacity_s - totals.off_s <= totals.billed_s + 1e-9 * capacity_s  # whatever serves is paid for
    assert totals.billed_s <= capacity_s * (1.0 + 1e-9)
    return outcome
