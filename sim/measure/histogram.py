"""Log histograms on one fixed grid: bounded memory, a guaranteed relative error, exact merging.

Bin i covers (lo * g^(i-1), lo * g^i] with g = (1 + a) / (1 - a), so the value reported for a bin is within the relative
error `a` of everything in it (the guarantee of DDSketch: Masson, Rim & Lee, VLDB 2019). The grid is the same for every
histogram; so merging adds integer arrays, which is exact and does not depend on the order of workers. Values of zero,
below the grid and above it are counted apart and reported, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, log
from typing import Final, Self

import numpy as np
import numpy.typing as npt

RELATIVE_ERROR: Final = 0.005
LOWEST: Final = 1e-6
HIGHEST: Final = 1e7
_GROWTH: Final = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR)
_INVERSE: Final = 1.0 / log(_GROWTH)
_OFFSET: Final = ceil(log(LOWEST) * _INVERSE)
BINS: Final = ceil(log(HIGHEST) * _INVERSE) - _OFFSET + 1

Counts = npt.NDArray[np.int64]


class LogHistogram:
    """Counts by bin, with exact count, sum, minimum and maximum.

    Attributes
    ----------
    counts : (BINS,) int64, values inside the grid.
    zeros, below, above : values equal to zero, under the grid, over it.
    sum, minimum, maximum : exact; minimum and maximum are infinite when empty.
    """

    __slots__ = ("above", "below", "counts", "maximum", "minimum", "sum", "zeros")

    def __init__(self) -> None:
        self.counts: Counts = np.zeros(BINS, dtype=np.int64)
        self.zeros = self.below = self.above = 0
        self.sum = 0.0
        self.minimum, self.maximum = float("inf"), float("-inf")

    def add(self, value: float, weight: int = 1) -> None:
        """Count one value `weight` times."""
        self.add_many(np.array([value]), np.array([weight]))

    def add_many(self, values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> None:
        """Count values, each with an integer weight (1 without).

        Raises
        ------
        ValueError : a value is negative or not finite.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.size == 0:
            return
        if not np.isfinite(array).all() or array.min() < 0.0:
            raise ValueError("a histogram takes finite values that are not negative")
        weight = np.ones(array.size, dtype=np.int64) if weights is None else np.asarray(weights, dtype=np.int64)
        self.sum += float((array * weight).sum())  # not a dot product: BLAS sums differently with other thread counts
        self.minimum = min(self.minimum, float(array.min()))
        self.maximum = max(self.maximum, float(array.max()))
        zero, low, high = array == 0.0, (array > 0.0) & (array < LOWEST), array > HIGHEST
        self.zeros += int(weight[zero].sum())
        self.below += int(weight[low].sum())
        self.above += int(weight[high].sum())
        inside = ~(zero | low | high)
        index = np.ceil(np.log(array[inside]) * _INVERSE).astype(np.int64) - _OFFSET
        np.add.at(self.counts, np.clip(index, 0, BINS - 1), weight[inside])

    def add_ramps(
        self,
        first: npt.ArrayLike,
        slope: npt.ArrayLike,
        steps: npt.ArrayLike,
        weight: npt.ArrayLike,
    ) -> None:
        """Count the values first + i * slope for i < steps, each `weight` times, for arrays of ramps.

        A ramp that stays within one relative error counts at its mean; a wider one is cut into pieces that do.
        """
        first_, slope_ = np.asarray(first, dtype=np.float64), np.asarray(slope, dtype=np.float64)
        steps_, weight_ = np.asarray(steps, dtype=np.int64), np.asarray(weight, dtype=np.int64)
        spread = slope_ * (steps_ - 1) / first_
        pieces = np.minimum(np.maximum(1, np.ceil(spread / RELATIVE_ERROR)).astype(np.int64), steps_)
        if int(pieces.max(initial=1)) > 1:
            parent = np.repeat(np.arange(pieces.size), pieces)
            within = np.arange(parent.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
            start = within * steps_[parent] // pieces[parent]
            end = (within + 1) * steps_[parent] // pieces[parent]
            first_, slope_ = first_[parent] + start * slope_[parent], slope_[parent]
            steps_, weight_ = end - start, weight_[parent]
        self.add_many(first_ + 0.5 * slope_ * (steps_ - 1), weight_ * steps_)

    @property
    def count(self) -> int:
        """Values counted, all of them."""
        return int(self.counts.sum()) + self.zeros + self.below + self.above

    @property
    def mean(self) -> float:
        """Exact mean; NaN when empty."""
        count = self.count
        return self.sum / count if count else float("nan")

    def quantile(self, p: float) -> float:
        """Value with at least a share p at or below it (`inverted_cdf`), within the relative error; NaN when empty."""
        count = self.count
        if count == 0:
            return float("nan")
        rank = max(1, ceil(p * count - 1e-9)) - self.zeros
        if rank <= 0:
            return 0.0
        if rank <= self.below:
            return self.minimum if self.zeros == 0 else LOWEST
        cumulative = np.cumsum(self.counts)
        index = int(np.searchsorted(cumulative, rank - self.below))
        if index >= BINS:
            return self.maximum
        return min(max(bin_value(index), self.minimum), self.maximum)

    def exceedance_frac(self, value: float) -> float:
        """Share of the values in bins above the bin of `value`."""
        count = self.count
        if count == 0:
            return float("nan")
        if value < LOWEST:
            return (count - self.zeros - self.below) / count
        index = min(ceil(log(value) * _INVERSE) - _OFFSET, BINS - 1)
        return (int(self.counts[index + 1 :].sum()) + self.above) / count

    def tail(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(value, share above it) at each bin that is not empty, for plots of the tail."""
        filled = np.flatnonzero(self.counts)
        at_or_below = self.zeros + self.below + np.cumsum(self.counts)[filled]
        values = np.array([bin_value(int(index)) for index in filled])
        return values, 1.0 - at_or_below / max(1, self.count)

    def __iadd__(self, other: LogHistogram) -> Self:
        self.counts = self.counts + other.counts
        self.zeros += other.zeros
        self.below += other.below
        self.above += other.above
        self.sum += other.sum
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        return self


def pooled(histograms: Iterable[LogHistogram]) -> LogHistogram:
    """One histogram of all values."""
    total = LogHistogram()
    for histogram in histograms:
        total += histogram
    return total


def bin_value(index: int) -> float:
    """The value that stands for a bin: within the relative error of both its edges."""
    return 2.0 * _GROWTH ** (index + _OFFSET) / (_GROWTH + 1.0)


class BufferedHistogram(LogHistogram):
    """A histogram that a hot path appends to.

    Attributes
    ----------
    pending : plain list; append values.
    pending_ramps : plain list; append (first, slope, steps, weight). Call `flush` now and then, and before reading.
    """

    __slots__ = ("pending", "pending_ramps")

    def __init__(self) -> None:
        super().__init__()
        self.pending: list[float] = []
        self.pending_ramps: list[tuple[float, float, int, int]] = []

    def flush(self) -> None:
        """Move everything pending into the bins."""
        if self.pending:
            self.add_many(self.pending)
            self.pending.clear()
        if self.pending_ramps:
            first, slope, steps, weight = zip(*self.pending_ramps, strict=True)
            self.add_ramps(first, slope, steps, weight)
            self.pending_ramps.clear()
