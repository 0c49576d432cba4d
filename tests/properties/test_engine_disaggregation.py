"""Prefill and decode pools under random loads, faults and lack of room: identities hold, and nothing gets stuck."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.pools import DecodePool, TransferPlan
from sim.streams import Streams
from tests.engine_cases import UNEVEN, Case, cases, node_faults


@st.composite
def pools(draw: st.DrawFn, case: Case, *, tight: bool) -> DecodePool:
    """A decode pool for a case: its own block size, ranks and seats; `tight` leaves room for hardly one request."""
    block_size = draw(st.sampled_from([1, 4, 16]))
    one_request = -(-(case.max_input + case.max_output) // block_size)
    spare = draw(st.integers(0, 3)) if tight else draw(st.integers(0, 20)) * one_request
    seats = draw(st.integers(1, 8))
    limits = replace(
        case.plan.limits,
        max_num_seqs=seats,
        max_num_batched_tokens=seats,
        block_size=block_size,
        num_kv_blocks=one_request + spare,
        data_parallel_size=draw(st.integers(1, 3)),
        pipeline_parallel_size=draw(st.integers(1, 2)),
        enable_prefix_caching=False,
    )
    transfer = TransferPlan(
        bytes_per_token=1.0,
        send_bytes_per_s=draw(st.sampled_from([31.7, 1013.3, 1e6])),
        receive_bytes_per_s=draw(st.sampled_from([57.1, 2017.9, 1e6])),
        latency_s=draw(st.sampled_from([0.0, 0.0517])),
        bytes_per_sequence=draw(st.sampled_from([0.0, 3.0])),
    )
    return DecodePool(
        limits=limits,
        replicas=draw(st.integers(1, 3)),
        nodes_per_replica=draw(st.integers(1, 2)),
        transfer=transfer,
        num_reserved_decode_tokens=draw(st.sampled_from([0, 0, 10])),
    )


@st.composite
def disaggregated(draw: st.DrawFn, *, faults: bool = False, tight: bool = False, caching: bool = False) -> Case:
    """A random cluster of two pools; faults may meet nodes of either."""
    case = draw(cases(tight=tight, caching=caching))
    pool = draw(pools(case, tight=tight))
    plan = replace(case.plan, decode=pool)
    if faults:
        nodes = [plan.nodes_per_replica] * plan.replicas + [pool.nodes_per_replica] * pool.replicas
        restart_s = [draw(st.sampled_from([0.0, 2.0]))] * plan.replicas
        restart_s += [draw(st.sampled_from([0.0, 1.5]))] * pool.replicas
        plan = replace(plan, transitions=draw(node_faults(nodes, restart_s, plan.horizon_s)))
    law = replace(UNEVEN, attention_cap_tokens=case.law.attention_cap_tokens)
    return replace(case, plan=plan, law=law)


def run(case: Case, *, coalesce: bool = True, horizon_s: float | None = None) -> Outcome:
    plan = replace(case.plan, coalesce=coalesce, record_requests=True)
    if horizon_s is not None:
        plan = replace(plan, horizon_s=horizon_s)
    decode_law = replace(case.law, base_s=0.0070000311)
    return Cluster(plan, case.law, Load(case.draws(), case.concurrency), Streams(case.seed), decode_law).run()


@given(st.data())
@settings(max_examples=60)
def test_identities_hold(data: st.DataObject) -> None:
    """Requests, tokens, blocks, time and Little's law balance with faults of both pools and with prefix caches."""
    run(data.draw(disaggregated(faults=True, caching=data.draw(st.booleans()))))


@given(disaggregated(tight=True, faults=True))
@settings(max_examples=60)
def test_identities_hold_where_room_is_scarce(case: Case) -> None:
    """The same with caches of both pools barely larger than one request."""
    run(case)


@given(st.data())
@settings(max_examples=60)
def test_every_request_ends(data: st.DataObject) -> None:
    """Without faults and with patient clients, every admissible request completes however little room there is."""
    case = data.draw(disaggregated(tight=True, caching=data.draw(st.booleans())))
    client = replace(case.plan.client, request_timeout_s=1e9)
    case = replace(case, plan=replace(case.plan, client=client, warmup_s=0.0), concurrency=None)
    outcome = run(case, horizon_s=1e7)

    totals = outcome.record.totals
    assert totals.arrived == case.count
    assert totals.completed + totals.refused == totals.arrived
    assert outcome.pools is not None
    pool, wanted = outcome.pools.totals, sum(row[2] > 1 for row in outcome.record.rows or ())
    # one transfer for each prompt with more than a token to give, and for each that came back and still has
    assert 0 <= wanted + pool.sent_back - pool.transfers <= pool.sent_back


@given(disaggregated(faults=False))
@settings(max_examples=60)
def test_spans_and_single_steps_agree(case: Case) -> None:
    """Covering many steps with one event changes no request time by more than rounding."""
    once, single = run(case), run(case, coalesce=False)

    assert once.record.rows is not None
    assert single.record.rows is not None
    assert len(once.record.rows) == len(single.record.rows)
    for row, other in zip(sorted(once.record.rows), sorted(single.record.rows), strict=True):
        assert row == pytest.approx(other, rel=1e-9, abs=1e-9)
    assert once.record.histograms["itl_s"].sum == pytest.approx(single.record.histograms["itl_s"].sum, rel=1e-6)


@given(disaggregated(tight=True))
@settings(max_examples=30)
def test_gaps_add_up(case: Case) -> None:
    """All gaps of all completed requests together are the time from first to last token; none is missing."""
    client = replace(case.plan.client, request_timeout_s=1e9)
    case = replace(case, plan=replace(case.plan, client=client, warmup_s=0.0), concurrency=None)
    outcome = run(case, horizon_s=1e7)

    rows = outcome.record.rows or ()
    gaps = outcome.record.histograms["itl_s"]
    assert gaps.count == sum(row[2] - 1 for row in rows)
    assert gaps.sum == pytest.approx(sum(row[5] - row[4] for row in rows), rel=0.01)
