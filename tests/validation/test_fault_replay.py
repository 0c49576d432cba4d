"""The real fault trace: its published statistics, and what it does to small fleets beside the binomial law."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sim.faults.replay import enough_frac_of_all_sets
from sim.faults.trace import FaultTrace, down_table, read_fault_trace
from sim.faults.trace_summary import summarise
from sim.oracle.availability import k_of_n, unit_availability
from sim.streams import Streams
from sim.study.fault_replay import replay

TRACE = "traces/faults/infinitehbd_fault_trace.json.gz"
SERVERS = 400
POINTS = 0.005
# needed, spares: share of time in the trace, of a binomial law with A = 0.9765, ratio of the shortages
TABLE = {
    (2, 0): (0.95174, 0.95362, 1.04),
    (2, 1): (0.99755, 0.99837, 1.5),
    (2, 2): (0.99982, 0.99995, 3.6),
    (4, 0): (0.91169, 0.90938, 0.97),
    (4, 1): (0.99258, 0.99475, 1.4),
    (4, 2): (0.99931, 0.99975, 2.8),
    (8, 0): (0.83269, 0.82698, 0.97),
    (8, 1): (0.97499, 0.98223, 1.4),
    (8, 2): (0.99656, 0.99863, 2.5),
    (16, 0): (0.70318, 0.68390, 0.94),
    (16, 1): (0.92770, 0.94068, 1.2),
    (16, 2): (0.98272, 0.99190, 2.1),
}
# replicas times nodes: needed nodes; urgent repair s = 0, 1, 2; trace-like repair s = 0 to 3
DECISIONS = {
    2: ((0.98759, 0.99988, 1.0), (0.94687, 0.99786, 0.99992, 1.0)),
    4: ((0.97533, 0.99962, 0.99999), (0.89656, 0.99313, 0.99963, 0.99998)),
    8: ((0.95126, 0.99864, 0.99997), (0.80381, 0.97698, 0.99797, 0.99985)),
    16: ((0.90489, 0.99505, 0.99982), (0.64611, 0.92451, 0.98823, 0.99853)),
    32: ((0.81883, 0.98199, 0.99875), (0.41746, 0.77721, 0.93706, 0.98584)),
}


@pytest.fixture
def trace(shared: Callable[[str], Path]) -> FaultTrace:
    return read_fault_trace(shared(TRACE), SERVERS)


def independent_frac(down: np.ndarray, needed: int, spares: int) -> float:
    """Mean over all sets of needed + spares nodes, each down on its own with its own share of the time."""
    size = needed + spares
    ways = np.zeros((size + 1, spares + 1))  # nodes chosen so far, how many of them down
    ways[0, 0] = 1.0
    for share in down:
        grown = ways.copy()
        grown[1:] += ways[:-1] * (1.0 - share)
        grown[1:, 1:] += ways[:-1, :-1] * share
        ways = grown
    everything = np.zeros(size + 1)
    everything[0] = 1.0
    for _ in down:
        everything[1:] += everything[:-1].copy()
    return float(ways[size].sum() / everything[size])


def test_statistics_of_the_trace(shared: Callable[[str], Path]) -> None:
    """Rate, repair, return, frailty, clustering and simultaneous faults as published for this trace."""
    found = summarise(read_fault_trace(shared(TRACE), SERVERS, from_h=0.0, to_h=348.98 * 24.0))

    assert (found.episodes, found.nodes) == (584, 400)
    assert found.per_1000_node_days == pytest.approx(4.20, abs=0.02)
    assert found.repair_mean_h == pytest.approx(132.8, abs=0.05)
    assert found.repair_quantiles_h == pytest.approx((2.1, 20.4, 75.9, 311.0, 738.0, 1966.0), rel=0.03)
    assert [seen for seen, _ in found.returns] == pytest.approx([0.22, 0.31, 0.43], abs=0.005)
    assert [expected for _, expected in found.returns] == pytest.approx([0.004, 0.03, 0.12], abs=0.0025)
    assert [m.shape for m in found.merged[:3]] == pytest.approx([0.93, 1.51, 2.69], abs=0.01)
    assert found.merged[3].shape is None
    assert [m.first_faults_per_1000_node_days for m in found.merged] == pytest.approx(
        [4.18, 3.25, 2.88, 2.40], abs=0.02
    )
    assert found.without_fault_frac == pytest.approx(0.4225)
    assert found.worst_shares == pytest.approx((0.24, 0.41), abs=0.006)
    assert found.gap_cv == pytest.approx(1.76, abs=0.005)
    assert found.short_gap_frac == pytest.approx(0.17, abs=0.006)
    assert found.burst_frac == pytest.approx(0.087, abs=0.0005)
    assert found.burst_max == 14
    assert (found.down_p95, found.down_p99, found.down_max) == (26, 31, 35)
    assert (found.down_mean, found.down_sd) == pytest.approx((9.3, 7.3), abs=0.05)
    assert found.availability == pytest.approx(0.977, abs=0.0005)


def test_exact_replay(trace: FaultTrace) -> None:
    """The mean over all sets of servers is within half a point of every cell of the published table."""
    table = down_table(trace)

    for (needed, spares), (seen, binomial, ratio) in TABLE.items():
        exact = enough_frac_of_all_sets(table, needed, spares)
        independent = k_of_n(needed, needed + spares, table.availability)
        assert exact == pytest.approx(seen, abs=POINTS)
        assert independent == pytest.approx(binomial, abs=0.001)
        if ratio < 2.0:  # the published sets were few: the ratio of rare shortages is uncertain
            assert (1.0 - exact) / (1.0 - independent) == pytest.approx(ratio, abs=0.1)


def sampled(trace: FaultTrace, sets: int, spares: tuple[int, ...]) -> None:
    cells = replay(trace, (2, 4, 8, 16), spares, sets, seed=1)
    for cell in cells:
        assert cell.trace.value is not None
        assert cell.trace.high is not None
        error = (cell.trace.high - cell.trace.value) / 1.96
        assert abs(cell.trace.value - cell.all_sets) < 4.5 * error, (cell.needed, cell.spares)
        assert cell.trace.value == pytest.approx(TABLE[cell.needed, cell.spares][0], abs=max(POINTS, 4.5 * error))


def test_sampled_replay_is_the_exact_mean(trace: FaultTrace) -> None:
    """500 random sets: within z 4.5 of the exact mean in every cell whose shortage such few sets can see."""
    sampled(trace, 500, (0, 1))


@pytest.mark.long
def test_sampled_replay_with_many_sets(trace: FaultTrace) -> None:
    """40,000 random sets: the same with an error of a thousandth, so the half point of the published table holds."""
    sampled(trace, 40_000, (0, 1, 2))


def shuffled(trace: FaultTrace, times: int) -> None:
    """Histories moved independently: the mean is that of independent nodes, which is nearly binomial."""
    plain = down_table(trace)
    down = plain.down.T @ plain.weights
    rng = Streams(7).generator("shuffle")
    tables = [down_table(trace, rng.uniform(0.0, trace.length_h, SERVERS)) for _ in range(times)]
    for needed, spares in ((4, 1), (16, 0), (16, 1), (16, 2)):
        values = np.array([enough_frac_of_all_sets(table, needed, spares) for table in tables])
        error = values.std(ddof=1) / np.sqrt(times)
        independent = independent_frac(down, needed, spares)
        assert abs(values.mean() - independent) < 4.5 * error, (needed, spares)
        assert independent == pytest.approx(k_of_n(needed, needed + spares, plain.availability), abs=0.002)
        if spares:  # the negative twin: histories as they were are far from independent
            assert independent - enough_frac_of_all_sets(plain, needed, spares) > max(0.0015, 9.0 * error)


def test_shuffled_histories_are_independent(trace: FaultTrace) -> None:
    """Shifting each server's history destroys the correlation; the real history fails the same test."""
    shuffled(trace, 12)


@pytest.mark.long
def test_shuffled_histories_are_independent_to_four_digits(trace: FaultTrace) -> None:
    """The same with 200 shuffles."""
    shuffled(trace, 200)


def test_decision_table() -> None:
    """The published decision table from the binomial law, every cell within 0.0005."""
    for mttr_h, column in ((30.075, 0), (132.84, 1)):
        node = unit_availability(4800.0, mttr_h)
        for needed, rows in DECISIONS.items():
            for spares, value in enumerate(rows[column]):
                assert k_of_n(needed, needed + spares, node) == pytest.approx(value, abs=5e-4), (needed, spares, mttr_h)


def test_a_wrong_repair_time_misses_the_decision_table() -> None:
    """A tenth more repair time is seen: the table can fail."""
    node = unit_availability(4800.0, 33.1)
    assert k_of_n(4, 4, node) != pytest.approx(DECISIONS[4][0][0], abs=5e-4)
