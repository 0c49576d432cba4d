"""What one run counts, bin by bin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sim.engine.cluster import Outcome

Floats = npt.NDArray[np.float64]

BIN_S: Final = 30.0
BY_ARRIVAL: Final = ("arrived", "good", "good_tokens")
BY_CLOCK: Final = (
    "failed",
    "abandoned",
    "refused",
    "retries",
    "timeouts",
    "killed",
    "lost_tokens",
    "wasted_prefill_tokens",
    "delivered_tokens",
)
METRICS: Final = ("bad", *BY_ARRIVAL, *BY_CLOCK)
ENDED_QUANTILE: Final = 0.999  # of the end-to-end latency: how long to wait for requests of the last bin


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of one run in bins.

    Attributes
    ----------
    values : (bins, metrics) in the order of `METRICS`. Requests that arrived, and of these the good and the bad ones,
        belong to the bin of their arrival; a request that is not over when the run ends is bad. Everything else belongs
        to the bin in which it counts.
    tail_s : time after which nearly all requests of a bin are over.
    events, cpu_s : engine events of the run, and processor time; the latter is no result.
    """

    values: Floats
    tail_s: float
    events: int
    cpu_s: float

    @classmethod
    def of(cls, outcome: Outcome, cpu_s: float) -> Counts:
        """Counts of a run that kept its course."""
        course = outcome.record.course
        assert course is not None, "the plan asked for no bins"
        bins = len(course.marks)
        arrival = np.array([getattr(course, name)[:bins] for name in BY_ARRIVAL], dtype=np.float64)
        clock = np.array([[getattr(mark, name) for mark in course.marks] for name in BY_CLOCK], dtype=np.float64)
        clock = np.diff(clock, axis=1, prepend=0.0)
        bad = arrival[0] - arrival[1]
        totals = outcome.record.totals
        return cls(
            np.vstack((bad, arrival, clock)).T,
            _tail_s(outcome),
            totals.boundaries + totals.attempts + totals.completed,
            cpu_s,
        )

    def between(self, begin_s: float, end_s: float) -> Floats:
        """(bins, metrics) from the first bin that begins at `begin_s` or later to the last that ends by `end_s`."""
        first, last = round(begin_s / BIN_S), int(end_s / BIN_S + 1e-9)
        return self.values[first:last]


def _tail_s(outcome: Outcome) -> float:
    histogram = outcome.record.histograms["e2el_s"]
    return float(histogram.quantile(ENDED_QUANTILE)) if histogram.count else 0.0


def column(name: str) -> int:
    """Where a metric stands."""
    return METRICS.index(name)
