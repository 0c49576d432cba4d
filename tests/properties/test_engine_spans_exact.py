"""Spans and single steps in exact arithmetic, where steps of equal length make callers and boundaries meet.

Under a flat law a closed loop whose callers wait for round times meets step boundaries exactly. In floats the last bit
of a sum then says who came first, and a sum of steps is not rounded as that of a span: some three runs in a thousand
of this kind differ between the two. With rational times a tie is a tie, and the order of events at one instant decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits
from sim.steptime.law import DecodeCoefficients
from sim.streams import Streams
from tests.engine_cases import draws
from tests.exact_cases import Exact, exactly

COUNTERS = ("completed", "abandoned", "emitted_tokens", "lost_tokens", "prefilled_tokens", "steps", "timeouts")
PLAN = ClusterPlan(
    limits=EngineLimits(max_num_seqs=2, max_num_batched_tokens=2, block_size=1, num_kv_blocks=36, max_model_len=10_000),
    replicas=1,
    nodes_per_replica=1,
    horizon_s=20.0,
    router="round_robin",
    client=ClientPolicy(max_retries=0, retry_backoff_s=0.0, request_timeout_s=0.7001234567),
    record_requests=True,
)


class Flat:
    """Steps whose length depends on the number of sequences and prompt tokens alone, in fractions of a second."""

    attention_cap_tokens = 0

    def __init__(self, base: Exact, per_seq: Exact) -> None:
        self.base = base
        self.per_seq = per_seq

    def decode(self, seqs: int) -> DecodeCoefficients:
        """No term grows with context."""
        none: Any = Exact(0)
        seconds: Any = self.base + self.per_seq * seqs
        return DecodeCoefficients(seconds, none, none, none)

    def mixed_s(
        self, seqs: int, context: int, capped: int, any_above: bool, prefills: Sequence[tuple[int, int]]
    ) -> Any:
        """A tenth of a millisecond more per prompt token."""
        del context, capped, any_above
        return self.base + self.per_seq * seqs + Exact(sum(new for new, _ in prefills), 10_000)

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> Any:
        """Grows with the tokens of all lanes."""
        return Exact(4 + prefill, 1000) + Exact(total_tokens + 2 * busiest_lane_tokens, 100_000)


def run(law: Flat, plan: ClusterPlan, seed: int, *, coalesce: bool) -> Outcome:
    exact: Iterator[Any] = (
        draw._replace(arrival_s=Exact(draw.arrival_s))
        for draw in draws(seed, 0.5, 60, 1, 41)  # type: ignore[arg-type]
    )
    load = Load(exact, concurrency=5)
    return Cluster(replace(exactly(plan), coalesce=coalesce), law, load, Streams(seed)).run()


def assert_same(law: Flat, plan: ClusterPlan, seed: int) -> None:
    spans, single = (run(law, plan, seed, coalesce=coalesce).record for coalesce in (True, False))
    assert spans.rows
    assert not any(isinstance(time, float) for row in spans.rows for time in (row[0], row[3])), "floats among times"
    assert spans.rows == single.rows
    for name in COUNTERS:
        assert getattr(spans.totals, name) == getattr(single.totals, name), name


@given(
    base=st.integers(71, 931),
    per_seq=st.sampled_from([0, 0, 1, 4, 8]),
    seqs=st.integers(1, 2),
    ranks=st.integers(1, 2),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60)
def test_spans_equal_single_steps_to_the_last_digit(base: int, per_seq: int, seqs: int, ranks: int, seed: int) -> None:
    """Requests, their times and all counters are the same, without a tolerance."""
    plan = replace(PLAN, limits=replace(PLAN.limits, max_num_seqs=seqs, data_parallel_size=ranks))
    assert_same(Flat(Exact(base, 10_000), Exact(per_seq, 1000)), plan, seed)


def test_a_run_that_differs_in_floats_is_the_same_in_fractions() -> None:
    """Under steps of 59.13 ms an abandoned caller comes back on a boundary: floats part there, fractions do not."""
    assert_same(Flat(Exact("0.0551"), Exact(0)), PLAN, 2170)


def test_an_arrival_that_takes_effect_a_step_late_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails where a span goes on one step beyond the boundary after an arrival."""
    from sim.engine import states

    cut = states.steps_until
    monkeypatch.setattr(states, "steps_until", lambda *span: cut(*span) + 1)
    with pytest.raises(AssertionError):
        assert_same(Flat(Exact("0.0551"), Exact(0)), PLAN, 2170)
