"""Workloads as streams of requests."""

from __future__ import annotations

import time
import tracemalloc
from collections import deque
from itertools import islice, pairwise

import numpy as np
import pytest

from sim.errors import ScenarioError, TraceError
from sim.streams import Streams
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.arrivals.poisson import Poisson
from sim.workload.lengths.constant import Constant
from sim.workload.lengths.lengths import Lengths, TraceLengths
from sim.workload.lengths.lognormal import Lognormal
from sim.workload.request import RequestDraw
from sim.workload.sample import sample
from sim.workload.trace.trace import Trace
from sim.workload.workload import Workload

CHAT = Workload(Poisson(5.0), Lengths(Lognormal(900, 1.2, max_tokens=8000), Lognormal(150, 0.86)))
TRACE = Trace(np.array([0.0, 0.5, 0.5]), np.array([10, 20, 30]), np.array([1, 2, 3]), "made", ("a", None, "a"))


def test_requests_are_reproducible_records():
    """The same seed and replication give the same requests, another replication gives others."""
    first = list(islice(CHAT.requests(Streams(7)), 10_000))
    assert first == list(islice(CHAT.requests(Streams(7)), 10_000))
    assert first != list(islice(CHAT.requests(Streams(7, 1)), 10_000))
    assert type(first[0]) is RequestDraw
    assert type(first[0].arrival_s) is float
    assert type(first[0].input_tokens) is int
    assert all(a.arrival_s <= b.arrival_s for a, b in pairwise(first))


def test_lengths_do_not_depend_on_arrivals():
    """Doubling the rate moves the arrivals and leaves the lengths of the i-th request unchanged."""
    slow = list(islice(CHAT.requests(Streams(7)), 5000))
    fast = list(islice(Workload(Poisson(10.0), CHAT.lengths).requests(Streams(7)), 5000))
    assert [r[1:] for r in slow] == [r[1:] for r in fast]
    assert fast[-1].arrival_s == pytest.approx(slow[-1].arrival_s / 2)


def test_closed_loop_sees_the_same_lengths():
    """A closed loop draws the lengths that an open workload with the same laws has, in the same order."""
    closed = Workload(ClosedLoop(64, think_s=2.0), CHAT.lengths)
    assert (closed.closed_loop_concurrency, closed.closed_loop_think_s, closed.mean_rate_rps) == (64, 2.0, None)
    lengths = list(islice(closed.lengths_stream(Streams(7)), 5000))
    assert lengths == [(r.input_tokens, r.output_tokens) for r in islice(CHAT.requests(Streams(7)), 5000)]
    with pytest.raises(ScenarioError, match="closed loop"):
        closed.requests(Streams(7))


def test_open_workload_states_its_means():
    """Mean rate and lengths are stated without simulating, and no concurrency is."""
    assert CHAT.closed_loop_concurrency is None
    assert CHAT.mean_rate_rps == 5.0
    sampled = [r.output_tokens for r in islice(CHAT.requests(Streams(1)), 100_000)]
    assert CHAT.mean_output_tokens == pytest.approx(np.mean(sampled), rel=0.02)
    assert CHAT.mean_input_tokens == pytest.approx(1630, rel=0.01)


def test_replay_gives_the_rows_of_the_trace():
    """A replayed trace yields its rows once, with times, lengths and sessions."""
    replay = Workload.from_trace(TRACE, output_scale=2.0)
    rows = [row[:4] for row in replay.requests(Streams(0))]
    assert rows == [(0.0, 10, 2, "a"), (0.5, 20, 4, None), (0.5, 30, 6, "a")]
    assert all(row.prefix is None and row.output_first_id is None for row in replay.requests(Streams(0)))
    assert replay.mean_rate_rps == 3 / 0.5
    assert (replay.mean_input_tokens, replay.mean_output_tokens) == (20.0, 4.0)


def test_closed_loop_over_a_trace():
    """The lengths of a trace can feed a closed loop that runs longer than the trace."""
    loop = Workload(ClosedLoop(2), TraceLengths(TRACE, repeat=True))
    assert list(islice(loop.lengths_stream(Streams(0)), 5)) == [(10, 1), (20, 2), (30, 3), (10, 1), (20, 2)]


def test_sample_is_what_a_simulation_sees():
    """A sampled trace replays to exactly the requests of the synthetic workload under the same streams."""
    trace = sample(CHAT, Streams(7), count=5000)
    assert list(Workload.from_trace(trace).requests(Streams(0))) == list(islice(CHAT.requests(Streams(7)), 5000))


def test_sample_stops_at_the_horizon_or_the_count():
    """Both limits hold, whichever comes first."""
    by_time = sample(CHAT, Streams(7), horizon_s=100.0)
    assert by_time.arrival_s[-1] < 100.0
    assert len(by_time) == pytest.approx(500, abs=100)
    assert len(sample(CHAT, Streams(7), count=10, horizon_s=100.0)) == 10
    assert sample(Workload.from_trace(TRACE), Streams(7), count=99).session_ids == TRACE.session_ids


def test_sample_refuses_what_has_no_end_or_no_requests():
    """Without a limit, with a closed loop, or with nothing before the horizon, the error says so."""
    with pytest.raises(ScenarioError, match="count or horizon_s"):
        sample(CHAT, Streams(7))
    with pytest.raises(ScenarioError, match="closed loop"):
        sample(Workload(ClosedLoop(1), CHAT.lengths), Streams(7), count=1)
    with pytest.raises(TraceError, match="no requests"):
        sample(Workload(Poisson(1e-6), Lengths(Constant(1), Constant(1))), Streams(7), horizon_s=0.001)


@pytest.mark.speed
def test_a_million_requests_are_drawn_in_a_second_and_a_half():
    """Drawing 1,000,000 Poisson and lognormal requests takes less than 1.5 s of one core (measured: 0.25 s)."""
    start_s = time.process_time()
    deque(islice(CHAT.requests(Streams(3)), 1_000_000), maxlen=0)
    assert time.process_time() - start_s < 1.5


def test_drawing_holds_one_block_at_a_time():
    """Memory does not grow with the requests drawn: the peak of 200,000 is that of 20,000, a few blocks."""

    def peak_bytes(n):
        requests = CHAT.requests(Streams(3))
        next(requests)
        tracemalloc.start()
        deque(islice(requests, n), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak_bytes(200_000) < 1.2 * peak_bytes(20_000) < 6e6
