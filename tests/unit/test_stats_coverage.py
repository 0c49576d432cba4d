"""Intervals cover the truth as often as they claim, on waits of M/M/1, where the usual shortcuts do not.

Waits come from Lindley's recursion: W = S - min(S so far), S the running sum of service less gap. The bounds allow for
the Monte Carlo error of a coverage near 0.95, four standard errors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from sim.oracle.mm1 import MM1
from sim.stats.estimate import Estimate
from sim.stats.mean import batch_means_interval, mean_interval
from sim.stats.quantile import Bins, pooled_quantile
from sim.stats.ratio import ratio_interval

Waits = list[npt.NDArray[np.float64]]


def waits(load: float, replications: int, customers: int, cut: int, rng: np.random.Generator) -> Waits:
    """Waits of each replication of M/M/1 with unit service, started empty, the first `cut` deleted."""
    shape = (replications, customers)
    steps = rng.standard_exponential(shape) - rng.standard_exponential(shape) / load
    sums = np.concatenate((np.zeros((replications, 1)), np.cumsum(steps, axis=1)), axis=1)[:, :-1]
    found = sums - np.minimum.accumulate(sums, axis=1)
    return list(found[:, cut:])


def coverage(interval: Callable[[Waits], Estimate], truth: float, runs: int, load: float, *size: int) -> float:
    """Share of `runs` whose interval holds the truth."""
    rng = np.random.default_rng(20)
    return float(np.mean([interval(waits(load, *size, rng)).covers(truth) for _ in range(runs)]))


def by_replication(sample: Waits) -> Estimate:
    return mean_interval([values.mean() for values in sample])


def independent(sample: Waits) -> Estimate:
    """The naive interval: all customers taken as independent."""
    return mean_interval(np.concatenate(sample))


def woodruff(sample: Waits) -> Estimate:
    top = float(max(values.max() for values in sample))
    edges = np.linspace(0.0, top, 4000)  # bins much finer than the interval
    counts = np.array([np.bincount(np.searchsorted(edges, values), minlength=edges.size) for values in sample])
    return pooled_quantile(Bins(counts, edges), 0.99)


def mean_of_p99(sample: Waits) -> Estimate:
    """The naive percentile: per-replication p99s averaged."""
    return mean_interval([np.quantile(values, 0.99, method="inverted_cdf") for values in sample])


def test_the_mean_over_replications_covers() -> None:
    """Load 0.8, 10 replications of 4,000: about 95 %, where taking customers as independent covers under 30 %."""
    truth = MM1(0.8, 1.0).mean_wait_s

    assert coverage(by_replication, truth, 200, 0.8, 10, 4000, 400) >= 0.95 - 4 * 0.0154
    assert coverage(independent, truth, 100, 0.8, 10, 4000, 400) <= 0.30


def test_the_pooled_percentile_covers() -> None:
    """Load 0.7, 10 replications of 8,000: about 95 % for p99; the mean of p99s of short replications fails."""
    truth = MM1(0.7, 1.0).wait_quantile_s(0.99)

    assert coverage(woodruff, truth, 150, 0.7, 10, 8000, 200) >= 0.95 - 4 * 0.0178
    assert coverage(mean_of_p99, truth, 60, 0.7, 100, 800, 100) <= 0.30


def test_the_ratio_covers() -> None:
    """Mean of exponential numerators over exponential denominators, 20 replications: about 95 %."""
    rng = np.random.default_rng(21)
    hits = [
        ratio_interval(2.0 * rng.exponential(size=20) + 2.0, rng.exponential(size=20) + 1.0).covers(2.0)
        for _ in range(400)
    ]

    assert np.mean(hits) >= 0.95 - 4 * 0.0109


def test_batch_means_cover() -> None:
    """Load 0.7, one run of 40,000 in 20 batches: about 95 %."""
    truth = MM1(0.7, 1.0).mean_wait_s

    assert coverage(lambda s: batch_means_interval(s[0]), truth, 200, 0.7, 1, 40_000, 1000) >= 0.95 - 4 * 0.0154


@pytest.mark.long
def test_coverage_at_high_load() -> None:
    """Load 0.9, 20 replications of 10,000, 2,000 deleted, 300 runs each.

    Means over replications cover 0.953 and pooled percentiles 0.940 within four standard errors of 0.0126; customers
    taken as independent cover 0.087, means of p99s 0.483.
    """
    queue = MM1(0.9, 1.0)
    size = (20, 10_000, 2000)

    assert coverage(by_replication, queue.mean_wait_s, 300, 0.9, *size) == pytest.approx(0.95, abs=0.05)
    assert coverage(woodruff, queue.wait_quantile_s(0.99), 300, 0.9, *size) == pytest.approx(0.94, abs=0.05)
    assert coverage(independent, queue.mean_wait_s, 200, 0.9, *size) <= 0.25
    assert coverage(mean_of_p99, queue.wait_quantile_s(0.99), 200, 0.9, *size) <= 0.75


def test_crossed_interval_covers_products_of_rows_and_columns() -> None:
    """Years times responses: 95 % intervals of the grand mean cover it, and those of the rows alone do not."""
    from sim.stats.crossed import crossed_interval

    rng = np.random.default_rng(5)
    covered = rows_alone = 0
    trials = 1500
    for _ in range(trials):
        table = np.outer(rng.exponential(2.0, 100), 3.0 + rng.standard_normal(6))
        covered += crossed_interval(table).covers(6.0)
        rows_alone += mean_interval(table.mean(axis=1)).covers(6.0)
    assert 0.93 < covered / trials < 0.985
    assert rows_alone / trials < 0.8
