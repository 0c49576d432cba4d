"""What must hold under the admission and preemption rules of every engine, at every instant, whatever fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Event

from sim.engine.clock import LAST, call_later
from sim.engine.cluster import Cluster, Load
from sim.engine.identities import check_identities
from sim.engine.plan import ClientPolicy
from sim.streams import Streams
from tests.engine_cases import Case, cases

tight_cases = st.booleans().flatmap(lambda caching: cases(tight=True, caching=caching, flavours=True))
failing_cases = st.booleans().flatmap(lambda caching: cases(tight=True, caching=caching, faults=True, flavours=True))


def assert_everybody_leaves(case: Case) -> None:
    plan = replace(case.plan, horizon_s=1e7, client=ClientPolicy(request_timeout_s=1e7), warmup_s=0.0)
    outcome = replace(case, plan=plan).run()
    totals = outcome.record.totals

    assert totals.completed + totals.refused == totals.arrived == case.count
    assert outcome.unfinished == 0


def assert_conserved_at(case: Case, instants: Sequence[float]) -> int:
    """Run a case and check every identity at each instant, after all that happens there; how often it was checked."""
    cluster = Cluster(case.plan, case.law, Load(case.draws(), case.concurrency), Streams(case.seed))
    checked = []

    def check(_event: Event) -> None:
        now, record = cluster.env.now, cluster.record
        cluster._settle()
        record.flush()
        check_identities(record, cluster.replicas, int(record.in_system.level), cluster._unfinished_s(now), now)
        checked.append(now)

    for at_s in instants:
        call_later(cluster.env, at_s, LAST, check)
    cluster.run()
    return len(checked)


@given(tight_cases)
@settings(max_examples=300)
def test_no_deadlock_under_the_rules_of_any_engine(case: Case) -> None:
    """With a pool barely larger than one request, whatever is not refused completes under every engine's rules."""
    assert_everybody_leaves(case)


@given(failing_cases, st.lists(st.floats(0.0, 20.0), max_size=8))
@settings(max_examples=150)
def test_blocks_are_conserved_at_every_failure_point(case: Case, instants: list[float]) -> None:
    """Blocks allocated = freed + held, and all other identities, at random instants and after all that faults do."""
    times = {change.at_s for change in case.plan.transitions}
    checks = assert_conserved_at(case, [*instants, *times])
    assert checks <= len(instants) + len(times)


@given(cases(flavours=True, tight=True))
@settings(max_examples=60)
def test_spans_and_single_steps_agree_under_any_rules(case: Case) -> None:
    """A queue that moves because an estimate fell moves at the same step whether or not steps are taken together."""
    plan = replace(case.plan, client=ClientPolicy(request_timeout_s=1e7), horizon_s=1e7, warmup_s=0.0)
    one = replace(case, plan=plan, concurrency=None)
    together, single = one.run(), one.run(coalesce=False)

    assert together.record.rows is not None
    assert single.record.rows is not None
    assert together.record.totals.steps == single.record.totals.steps
    for left, right in zip(sorted(together.record.rows), sorted(single.record.rows), strict=True):
        assert left == pytest.approx(right, rel=1e-9, abs=1e-9)


@given(cases(flavours=True, tight=True).filter(lambda case: case.plan.limits.scheduler == "tensorrt-llm"))
@settings(max_examples=60)
def test_reservation_to_the_end_never_preempts(case: Case) -> None:
    """Under GUARANTEED_NO_EVICT no request is ever put back for lack of blocks."""
    limits = replace(
        case.plan.limits,
        capacity_scheduler_policy="GUARANTEED_NO_EVICT",
        scheduling_policy="fcfs",
        priority_preemption_threshold=None,
    )
    assert replace(case, plan=replace(case.plan, limits=limits)).run().record.totals.preemptions == 0


@pytest.mark.long
@given(tight_cases)
@settings(max_examples=10_000)
def test_no_deadlock_under_the_rules_of_any_engine_at_length(case: Case) -> None:
    """The same in ten thousand random scenarios."""
    assert_everybody_leaves(case)


@pytest.mark.long
@given(failing_cases, st.lists(st.floats(0.0, 200.0), max_size=20))
@settings(max_examples=3000)
def test_blocks_are_conserved_at_length(case: Case, instants: list[float]) -> None:
    """The same over many more clusters and instants."""
    assert_conserved_at(case, [*instants, *{change.at_s for change in case.plan.transitions}])
