"""Changing a trace's load: warp, thin, replicate, spread ticks, cut."""

from __future__ import annotations

import numpy as np
import pytest

from sim.errors import ScenarioError, TraceError
from sim.streams import Streams
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.trace.blocks import HashBlocks
from sim.workload.trace.prefix import prefix_hit_frac
from sim.workload.trace.scale import clock_tick_s, dequantise, replicate, thin, time_warp
from sim.workload.trace.scaling import Scaling
from sim.workload.trace.trace import Trace
from sim.workload.workload import Workload

N = 2000


def made(seed=0, **fields):
    """Poisson arrivals at 4/s from 100 s on; all requests share block 0, one in two continues an earlier one."""
    rng = np.random.default_rng(seed)
    arrival_s = 100 + np.cumsum(rng.exponential(0.25, N))
    rows = [[0, 1 + i // 2, 10_000 + i] for i in range(N)]
    blocks = HashBlocks(np.array(rows).ravel(), np.arange(N + 1) * 3, 512)
    columns = {"session_ids": tuple(f"s{i // 2}" for i in range(N)), "blocks": blocks} | fields
    return Trace(arrival_s, np.full(N, 1200), rng.integers(1, 500, N), "made", **columns)


def test_time_warp_scales_times_only():
    """A warp of 2 halves all times: twice the rate, equal burstiness, the same requests."""
    trace = made()
    warped = time_warp(trace, 2.0)
    np.testing.assert_allclose(warped.arrival_s, trace.arrival_s / 2)
    assert warped.output_tokens is trace.output_tokens


def test_thinning_keeps_the_share_asked_for():
    """Thinning to a quarter keeps about a quarter, in order, the same ones for the same seed and others for another."""
    trace = made()
    kept = thin(trace, 0.25, Streams(1))
    assert len(kept) == pytest.approx(N / 4, abs=4 * np.sqrt(N * 0.25 * 0.75))
    np.testing.assert_array_equal(kept.arrival_s, thin(trace, 0.25, Streams(1)).arrival_s)
    assert not np.array_equal(kept.arrival_s, thin(trace, 0.25, Streams(1, 1)).arrival_s)
    assert len(kept.blocks) == len(kept.session_ids) == len(kept)


def test_thinning_to_nothing_says_so():
    """A share that leaves no request is an error that tells share and size."""
    with pytest.raises(TraceError, match="made: thinning to 0 leaves none of its 2000 requests"):
        thin(made(), 0.0, Streams(1))


def test_replication_multiplies_users_not_sharing():
    """Three copies triple the requests; sessions and blocks are renamed, so the hit rate stays that of one copy."""
    trace = made()
    three = replicate(trace, 3, streams=Streams(1))
    assert len(three) == 3 * N
    assert three.span_s == pytest.approx(trace.span_s, rel=0.01)
    assert len(set(three.session_ids)) == 3 * N // 2
    assert prefix_hit_frac(three) == pytest.approx(prefix_hit_frac(trace), abs=0.001)
    assert three.blocks.shared_root().tolist() == [0]


def test_copies_with_equal_ids_would_inflate_sharing():
    """Negative twin: copies that keep their block ids hit far more than the original."""
    trace = made()
    order = np.repeat(np.arange(N), 3)
    inflated = Trace(
        trace.arrival_s[order],
        trace.input_tokens[order],
        trace.output_tokens[order],
        "x",
        None,
        trace.blocks.take(order),
    )
    assert prefix_hit_frac(inflated) > 1.2 * prefix_hit_frac(trace)


def test_ticks_are_found_and_spread():
    """A clock of 3 s is found; spreading keeps each request in its tick and its order, and makes gaps Poisson again."""
    trace = made()
    coarse = trace.retimed(np.floor(trace.arrival_s / 3) * 3)
    assert clock_tick_s(coarse) == 3.0
    assert clock_tick_s(trace) is None
    spread = dequantise(coarse, Streams(1))
    late_s = spread.arrival_s - coarse.arrival_s
    assert late_s.min() >= 0
    assert late_s.max() < 3
    gaps = np.diff(spread.arrival_s)
    assert gaps.min() >= 0
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.1)
    with pytest.raises(TraceError, match="no coarse clock"):
        dequantise(trace, Streams(1))


def test_scaling_has_one_order():
    """Copies come before the warp and the cut comes last; the result starts at time zero."""
    trace = made()
    scaled = Scaling(replicate=2, time_warp=4.0, max_requests=500).apply(trace, Streams(3))
    assert (len(scaled), scaled.arrival_s[0]) == (500, 0.0)
    assert scaled.span_s == pytest.approx(500 / (4 * 2 * 4), rel=0.2)
    by_hand = time_warp(replicate(trace, 2, streams=Streams(3)), 4.0).from_zero()
    np.testing.assert_array_equal(scaled.arrival_s, by_hand.arrival_s[:500])


def test_each_replication_thins_anew():
    """A thinned replay differs between replications, repeats within one, and a plain replay never differs."""
    thinned = Workload.from_trace(made(), scaling=Scaling(thin_frac=0.5))
    first, again, other = (list(thinned.requests(Streams(1, r))) for r in (0, 0, 1))
    assert first == again
    assert first != other
    plain = Workload.from_trace(made(), scaling=Scaling(time_warp=2.0))
    assert list(plain.requests(Streams(1, 0))) == list(plain.requests(Streams(2, 1)))


def test_closed_loop_takes_the_lengths_of_a_trace():
    """Callers of a closed loop take a thinned trace's lengths in turn and start over at its end."""
    workload = Workload.from_trace(made(), scaling=Scaling(max_requests=2), closed=ClosedLoop(4))
    draw = workload.lengths_stream(Streams(1))
    pairs = [next(draw) for _ in range(4)]
    assert pairs[:2] == pairs[2:]
    assert workload.closed_loop_concurrency == 4
    thinned = Workload.from_trace(made(), scaling=Scaling(thin_frac=0.5), closed=ClosedLoop(4))
    runs = [[next(stream) for _ in range(50)] for stream in (thinned.lengths_stream(Streams(1, r)) for r in (0, 0, 1))]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    "options",
    [
        {"dequantise_s": 0.0},
        {"thin_frac": 1.5},
        {"thin_frac": -0.1},
        {"replicate": 0},
        {"time_warp": 0.0},
        {"time_warp": float("nan")},
        {"max_requests": 0},
    ],
)
def test_impossible_scalings_are_refused(options):
    """A scaling out of range names its argument."""
    with pytest.raises(ScenarioError, match=next(iter(options))):
        Scaling(**options)
