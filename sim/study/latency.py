"""Latency figures: pooled means and quantiles with intervals over replications."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sim.engine.cluster import Outcome
from sim.measure.histogram import BINS, LOWEST, LogHistogram, bin_value
from sim.stats.estimate import Estimate
from sim.stats.quantile import Bins, pooled_quantile
from sim.stats.ratio import ratio_interval
from sim.study.metric import Metric

QUANTILES = (0.5, 0.9, 0.95, 0.99)


def latency_metrics(option: str, outcomes: Sequence[Outcome], note: str = "") -> Iterator[Metric]:
    """Mean, p50, p90, p95 and p99 of each latency histogram.

    Parameters
    ----------
    note : a remark that belongs to every latency of this run, as when the cluster did not keep up.
    """
    for name in outcomes[0].record.histograms:
        histograms = [outcome.record.histograms[name] for outcome in outcomes]
        stem = name.removesuffix("_s")
        yield Metric.of(option, f"{stem}_mean_s", "s", _mean(histograms), note)
        bins = bins_of(histograms)
        for p in QUANTILES:
            yield Metric.of(option, f"{stem}_p{100 * p:g}_s", "s", pooled_quantile(bins, p), note)


def latencies_by_replication(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """Mean and quantiles of each latency, one value per replication; NaN where it has too few samples."""
    found: dict[str, list[float]] = {}
    for name in outcomes[0].record.histograms:
        stem = name.removesuffix("_s")
        histograms = [outcome.record.histograms[name] for outcome in outcomes]
        found[f"{stem}_mean_s"] = [histogram.mean for histogram in histograms]
        for p in QUANTILES:
            estimates = [pooled_quantile(bins_of([histogram]), p).value for histogram in histograms]
            found[f"{stem}_p{100 * p:g}_s"] = [float("nan") if value is None else value for value in estimates]
    return found


def bins_of(histograms: Sequence[LogHistogram]) -> Bins:
    """One row of counts per replication; zeros and values off the grid have bins of their own."""
    pooled_max = max(histogram.maximum for histogram in histograms)
    rows = [[item.zeros, item.below, *item.counts.tolist(), item.above] for item in histograms]
    top = max(pooled_max, bin_value(BINS - 1)) if np.isfinite(pooled_max) else bin_value(BINS - 1)
    values = np.array([0.0, LOWEST, *(bin_value(index) for index in range(BINS)), top])
    if np.isfinite(pooled_max):  # a bin's value may lie above everything in it
        values = np.minimum(values, pooled_max)
    return Bins(np.array(rows, dtype=np.int64), values)


def _mean(histograms: Sequence[LogHistogram]) -> Estimate:
    filled = [histogram for histogram in histograms if histogram.count]
    if not filled:
        return Estimate(None, note="nothing was measured")
    return ratio_interval([item.sum for item in filled], [float(item.count) for item in filled])
