"""Prediction against measurement: one relative error per point and metric, and their summary per family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.study.validate.point import MeasuredPoint
from sim.study.validate.predict import Predicted

# metric -> columns that may state it, the first that is there counts
METRICS: Final[dict[str, tuple[str, ...]]] = {
    "output throughput per GPU": ("output_tput_per_gpu", "total_tput_per_gpu", "total_tput_per_gpu_est"),
    "TPOT": ("tpot_p50_ms", "tpot_mean_ms"),
    "TTFT": ("ttft_p50_ms", "ttft_mean_ms"),
    "TTFT p99": ("ttft_p99_ms",),
    "E2EL": ("e2e_p50_ms", "e2e_mean_ms"),
}
THROUGHPUT: Final = next(iter(METRICS))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one point.

    Attributes
    ----------
    point, family, metric : what was compared; `column` is the one that states it.
    measured, predicted : in the unit of the column.
    """

    point: str
    family: tuple[str, str, str, str]
    metric: str
    column: str
    measured: float
    predicted: float

    @property
    def error_frac(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1.0

    @property
    def within_2x(self) -> bool:
        """Whether it is within a factor of two, either way."""
        return 0.5 <= self.predicted / self.measured <= 2.0


@dataclass(frozen=True, slots=True)
class Summary:
    """Errors of one metric over the points of one family.

    Attributes
    ----------
    points : how many.
    median_frac : signed median error.
    median_abs_frac, p90_abs_frac : median and 90th percentile of the absolute error.
    within_2x_frac : share of points predicted within a factor of two.
    """

    family: tuple[str, ...]
    metric: str
    points: int
    median_frac: float
    median_abs_frac: float
    p90_abs_frac: float
    within_2x_frac: float


def compare(point: MeasuredPoint, family: tuple[str, str, str, str], predicted: Predicted) -> list[Comparison]:
    """Every metric that the point states and the simulation gives."""
    found = []
    for metric, columns in METRICS.items():
        for column in columns:
            measured = point.numbers.get(column)
            if measured is not None and measured > 0.0 and column in predicted:
                found.append(Comparison(point.name, family, metric, column, measured, predicted[column]))
                break
    return found


def summarise(comparisons: Sequence[Comparison], family: tuple[str, ...]) -> list[Summary]:
    """One summary per metric, in the order of `METRICS`; metrics without points are left out."""
    found = []
    for metric in METRICS:
        own = [entry for entry in comparisons if entry.metric == metric]
        if not own:
            continue
        errors = np.array([entry.error_frac for entry in own])
        size = np.abs(errors)
        found.append(
            Summary(
                family,
                metric,
                len(own),
                float(np.median(errors)),
                float(np.median(size)),
                float(np.quantile(size, 0.9)),
                float(np.mean([entry.within_2x for entry in own])),
            )
        )
    return found


def by_family(comparisons: Sequence[Comparison]) -> list[Summary]:
    """Summaries of every family, in order of their names."""
    families = sorted({entry.family for entry in comparisons})
    return [
        summary
        for family in families
        for summary in summarise([entry for entry in comparisons if entry.family == family], family)
    ]
