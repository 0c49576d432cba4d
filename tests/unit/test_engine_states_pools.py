"""Replica states of a prefill and a decode pool: transfers under way, KV kept elsewhere, migration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan
from sim.engine.pools import DecodePool, TransferPlan
from sim.faults.transition import Action, Transition
from sim.streams import Streams
from sim.workload.request import RequestDraw
from tests.unit.test_engine_states import LAW, LIMITS, STEP_S, change

SECONDS_PER_TOKEN = 0.1
PREFILL, DECODE = 0, 2  # two replicas each


def run(*transitions: Transition, requests: Sequence[tuple[float, int, int]], **changes: object) -> Outcome:
    pool = DecodePool(LIMITS, 2, 1, TransferPlan(1.0, 1.0 / SECONDS_PER_TOKEN, 1e9))
    plan = ClusterPlan(
        replace(LIMITS, data_parallel_size=2), 2, 1, 1000.0, record_requests=True, decode=pool,
        client=ClientPolicy(retry_backoff_s=0.5), transitions=transitions,
    )  # fmt: skip
    plan = replace(plan, **changes)  # type: ignore[arg-type]
    return Cluster(plan, LAW, Load(iter([RequestDraw(*request) for request in requests])), Streams(1), LAW).run()


TRANSFER_S = 10 * SECONDS_PER_TOKEN
UNDISTURBED_S = STEP_S + TRANSFER_S + 39 * STEP_S  # prompt of 10 tokens, transfer, 39 tokens more


def test_a_decode_replica_that_dies_takes_a_transfer_along() -> None:
    """During the transfer (0.25 to 1.25 s) the receiver dies: the client starts anew half a second later."""
    outcome = run(change(1.0, Action.DOWN, replica=DECODE), requests=[(0.0, 10, 40)])

    assert outcome.record.rows is not None
    assert outcome.record.rows[0][5] == pytest.approx(1.0 + 0.5 + UNDISTURBED_S)
    assert outcome.pools is not None
    assert outcome.pools.totals.transfers == 1
    assert outcome.pools.totals.aborted == 1
    assert outcome.record.totals.killed == 1


@pytest.mark.parametrize("how", [Action.DOWN, Action.SHRINK])
def test_a_prefill_replica_or_rank_that_dies_takes_the_kv_that_it_keeps(how: Action) -> None:
    """The sender, or the rank on it that sends, dies during the transfer: the request is lost at the receiver too."""
    outcome = run(change(1.0, how, replica=PREFILL, ranks=(0,)), requests=[(0.0, 10, 40)])

    assert outcome.record.rows is not None
    assert outcome.record.rows[0][5] == pytest.approx(1.0 + 0.5 + UNDISTURBED_S)
    assert outcome.record.totals.killed == 1


def test_a_rank_without_the_request_does_not_matter() -> None:
    """Negative twin: where the other rank of the sender is lost, nothing happens to the request."""
    outcome = run(change(1.0, Action.SHRINK, replica=PREFILL, ranks=(1,)), requests=[(0.0, 10, 40)])

    assert outcome.record.rows is not None
    assert outcome.record.rows[0][5] == pytest.approx(UNDISTURBED_S)
    assert outcome.record.totals.killed == 0


def test_a_request_migrates_from_a_dead_decode_replica() -> None:
    """Before 6 s 19 tokens are out (at 0.25 s, and from 1.5 s on): prompt and output are prefilled again.

    That takes one step and gives a token; 29 tokens of KV cross the fabric in 2.9 s, and 20 more tokens follow.
    """
    outcome = run(change(6.0, Action.DOWN, replica=DECODE), requests=[(0.0, 10, 40)], in_flight="migrate")

    # the step that would end at 6 s is lost with the replica: 19 tokens are out
    moved = 19
    assert outcome.record.totals.migrated_tokens == 10 + moved
    assert outcome.record.rows is not None
    left_s = STEP_S + (10 + moved) * SECONDS_PER_TOKEN + (40 - moved - 1) * STEP_S
    assert outcome.record.rows[0][5] == pytest.approx(6.0 + left_s)
    assert outcome.record.rows[0][4] == pytest.approx(STEP_S)
    assert outcome.record.totals.lost_tokens == 0


def test_a_prompt_waits_while_every_decode_replica_drains() -> None:
    """Both drain from the start to 5 s: the KV of a computed prompt is sent then."""
    drains = [change(0.0, Action.DRAIN, replica=DECODE + index) for index in range(2)]
    outcome = run(*drains, change(5.0, Action.ADMIT, replica=DECODE + 1), requests=[(0.0, 10, 40)])

    assert outcome.record.rows is not None
    assert outcome.record.rows[0][5] == pytest.approx(5.0 + TRANSFER_S + 39 * STEP_S)


def test_kv_arrives_at_a_replica_that_pauses() -> None:
    """A pause of the receiver from 0.5 to 4 s lets the transfer end at 1.25 s; decoding begins at 4 s."""
    outcome = run(change(0.5, Action.PAUSE, 3.5, replica=DECODE), requests=[(0.0, 10, 40)])

    assert outcome.record.rows is not None
    assert outcome.record.rows[0][5] == pytest.approx(4.0 + 39 * STEP_S)
