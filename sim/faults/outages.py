"""Stretches in which a share of requests fails, and what they add up to over a year.

Time is hours since the start, a Monday at midnight. Several causes at a time act one after the other on what is left:
two of 30 % leave 49 %; a loss is booked on the first cause of the list that takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sim.units import YEAR_H

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outages:
    """What one cause takes away.

    Attributes
    ----------
    cause : its name.
    start_h, end_h : (outages,) hours; they may overlap.
    severity : (outages,) share of requests that fail, 0 to 1.
    """

    cause: str
    start_h: Floats
    end_h: Floats
    severity: Floats

    @classmethod
    def of(cls, cause: str, rows: Sequence[tuple[float, float, float]]) -> Outages:
        """From (start, end, severity)."""
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        return cls(cause, table[:, 0], table[:, 1], table[:, 2])


@dataclass(frozen=True, slots=True)
class Profile:
    """Share of requests that fail as a step function of time.

    Attributes
    ----------
    edges_h : (n + 1,) from 0 to the horizon.
    causes : names, in the order in which they take.
    by_cause : (causes, n) share of all requests lost to each.
    failing_frac : (n,) share of requests that fail.
    length_h : (n,) how long each step lasts.
    """

    edges_h: Floats
    causes: tuple[str, ...]
    by_cause: Floats
    failing_frac: Floats = field(init=False)
    length_h: Floats = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "failing_frac", np.asarray(self.by_cause.sum(axis=0), dtype=np.float64))
        object.__setattr__(self, "length_h", _steps(self.edges_h))

    @property
    def horizon_h(self) -> float:
        """Length of all."""
        return float(self.edges_h[-1])

    @property
    def clear_frac(self) -> float:
        """Share of time in which no request fails: availability by time."""
        return 1.0 - float(self.length_h[self.failing_frac > 0.0].sum()) / self.horizon_h

    @property
    def served_frac(self) -> float:
        """Share of requests that do not fail, with as many at all times: availability by request."""
        return 1.0 - float(self.length_h @ self.failing_frac) / self.horizon_h

    def lost_h(self) -> dict[str, float]:
        """Hours of all requests lost to each cause; they sum to the total."""
        return dict(zip(self.causes, (self.by_cause @ self.length_h).tolist(), strict=True))

    def worst_frac(self, window_h: float) -> Floats:
        """(years,) share of requests that fail in the worst clock window of each year, such as an hour or a day."""
        lost = np.concatenate([[0.0], np.cumsum(self.length_h * self.failing_frac)])
        years = max(1, round(self.horizon_h / YEAR_H))
        per_year = round(self.horizon_h / years / window_h)
        at = np.interp(np.arange(years * per_year + 1) * window_h, self.edges_h, lost)
        worst = _steps(at).reshape(years, per_year).max(axis=1) / window_h
        return np.asarray(np.clip(worst, 0.0, 1.0), dtype=np.float64)

    def touched_frac(self, window_h: float) -> float:
        """Share of clock windows, such as days, in which any request fails."""
        lost = np.concatenate([[0.0], np.cumsum(self.length_h * (self.failing_frac > 0.0))])
        windows = round(self.horizon_h / window_h)
        at = np.interp(np.arange(windows + 1) * window_h, self.edges_h, lost)
        return float((_steps(at) > 0.0).mean())

    def stretches(self, at_least: float = 0.0) -> tuple[Floats, Floats]:
        """Start and length of each unbroken stretch in which more than `at_least` of the requests fail."""
        failing = self.failing_frac > at_least
        padded = np.concatenate([[False], failing, [False]])
        ends = np.flatnonzero(padded[1:] != padded[:-1])
        start_h, end_h = self.edges_h[ends[::2]], self.edges_h[ends[1::2]]
        return start_h, end_h - start_h

    def longest_h(self, at_least: float = 0.0) -> Floats:
        """(years,) the longest such stretch of those that begin in each year; 0 without any."""
        start_h, length_h = self.stretches(at_least)
        longest = np.zeros(max(1, round(self.horizon_h / YEAR_H)))
        year = np.minimum((start_h / YEAR_H).astype(np.int64), longest.size - 1)
        np.maximum.at(longest, year, length_h)
        return longest


def _steps(values: Floats) -> Floats:
    """From each value to the next; `np.diff` costs more than the subtraction on rows as short as these."""
    return np.asarray(values[1:] - values[:-1], dtype=np.float64)


def profile(parts: Sequence[Outages], horizon_h: float) -> Profile:
    """The step function of several causes, cut to the horizon.

    Parameters
    ----------
    parts : in the order in which causes take; a year's withdrawal before the incidents of a day.
    """
    cut = [
        (np.clip(part.start_h, 0.0, horizon_h), np.clip(part.end_h, 0.0, horizon_h), part.severity) for part in parts
    ]
    edges = np.unique(np.concatenate([[0.0, horizon_h], *(ends for start, end, _ in cut for ends in (start, end))]))
    left = np.ones(edges.size - 1)
    by_cause = np.zeros((len(cut), edges.size - 1))
    for row, (start, end, severity) in enumerate(cut):
        if not start.size:
            continue
        first, last = np.searchsorted(edges, start), np.searchsorted(edges, end)
        kept = np.ones(edges.size - 1)
        for i, j, share in zip(first.tolist(), last.tolist(), severity.tolist(), strict=True):
            kept[i:j] *= 1.0 - share
        by_cause[row] = left * (1.0 - kept)
        left = left * kept
    return Profile(edges, tuple(part.cause for part in parts), by_cause)


def failover(first: Profile, second: Profile, detection_h: float, trigger_frac: float) -> Profile:
    """A path with another behind it.

    Where more than `trigger_frac` of the first path's requests fail, all traffic goes to the second once `detection_h`
    has passed, and back as soon as the first has recovered; it stays where the second is no better. Causes keep their
    names, so the two paths should name theirs apart.
    """
    start_h, length_h = first.stretches(trigger_frac)
    noticed_h = start_h + np.minimum(detection_h, length_h)
    edges = np.unique(np.concatenate([first.edges_h, second.edges_h, noticed_h]))
    middle = (edges[:-1] + edges[1:]) / 2.0
    one = first.by_cause[:, np.searchsorted(first.edges_h, middle) - 1]
    two = second.by_cause[:, np.searchsorted(second.edges_h, middle) - 1]
    away = np.zeros(middle.size, dtype=np.bool_)
    for begin, end in zip(
        np.searchsorted(edges, noticed_h).tolist(), np.searchsorted(edges, start_h + length_h).tolist(), strict=True
    ):
        away[begin:end] = True
    away &= two.sum(axis=0) < one.sum(axis=0)
    return Profile(edges, first.causes + second.causes, np.vstack([one * ~away, two * away]))
