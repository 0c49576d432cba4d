"""Rates that change with time: piecewise constant or piecewise linear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from sim.errors import ScenarioError
from sim.units import HOUR_S
from sim.workload.checks import not_negative, positive

Floats = npt.NDArray[np.float64]
HOURS_PER_DAY = 24
DAYS_PER_WEEK = 7
WORKING_DAYS = 5


@dataclass(frozen=True, slots=True)
class RateProfile:
    """A rate series lambda(t), its integral and the inverse of the integral.

    Parameters
    ----------
    edges_s : times at which segments begin and end; the first is 0.
    rates_rps : one rate per segment (`constant`), or one per edge (`linear`).
    shape : `constant` within a segment, or `linear` between edges.
    after : what follows the last edge: the series again (`repeat`), or its last rate for ever (`hold`).

    Raises
    ------
    ScenarioError : edges that do not increase from 0, a wrong number of rates, negative rates, or none above zero.
    """

    edges_s: tuple[float, ...]
    rates_rps: tuple[float, ...]
    shape: Literal["constant", "linear"] = "constant"
    after: Literal["repeat", "hold"] = "repeat"

    def __post_init__(self) -> None:
        edges = self.edges_s
        if len(edges) < 2 or edges[0] != 0 or not all(a < b for a, b in pairwise(edges)):
            raise ScenarioError("must increase from 0", key="edges_s", value=edges, valid="0 < t1 < t2 ...")
        positive("edges_s", edges[-1])
        if self.shape not in ("constant", "linear"):
            raise ScenarioError("is no profile shape", key="shape", value=self.shape, valid="constant, linear")
        if self.after not in ("repeat", "hold"):
            raise ScenarioError("is unknown", key="after", value=self.after, valid="repeat, hold")
        wanted = len(edges) - (self.shape == "constant")
        if len(self.rates_rps) != wanted:
            raise ScenarioError(f"needs {wanted} rates", key="rates_rps", value=self.rates_rps)
        for rate_rps in self.rates_rps:
            not_negative("rates_rps", rate_rps)
        if not any(self.rates_rps):
            raise ScenarioError("has no rate above zero", key="rates_rps", value=self.rates_rps)
        if self.after == "hold":
            positive("rates_rps", self.rates_rps[-1])

    @property
    def period_s(self) -> float:
        """Length of the series."""
        return self.edges_s[-1]

    @property
    def mean_rate_rps(self) -> float:
        """Long-run mean: over one period when it repeats, else the last rate."""
        if self.after == "hold":
            return self.rates_rps[-1]
        return float(self._cumulative_at_edges()[-1]) / self.period_s

    def scaled_to(self, rate_rps: float) -> RateProfile:
        """The same shape with another long-run mean rate."""
        positive("rate_rps", rate_rps)
        factor = rate_rps / self.mean_rate_rps
        return RateProfile(self.edges_s, tuple(r * factor for r in self.rates_rps), self.shape, self.after)

    def cumulative(self, times_s: Floats) -> Floats:
        """Expected arrivals in (0, t], for each t >= 0."""
        total = float(self._cumulative_at_edges()[-1])
        if self.after == "repeat":
            periods, within_s = np.divmod(times_s, self.period_s)
            whole: Floats = periods * total
            return whole + self._within(within_s)
        over_s = np.maximum(times_s - self.period_s, 0.0)
        return self._within(np.minimum(times_s, self.period_s)) + over_s * self.rates_rps[-1]

    def inverse(self, expected: Floats) -> Floats:
        """The time by which `expected` arrivals are expected; where the rate is zero, the end of the quiet spell."""
        total = float(self._cumulative_at_edges()[-1])
        if self.after == "repeat":
            periods, rest = np.divmod(expected, total)
            whole_s: Floats = periods * self.period_s
            return whole_s + self._invert_within(rest)
        over = np.maximum(expected - total, 0.0)
        return self._invert_within(np.minimum(expected, total)) + over / self.rates_rps[-1]

    def _segments(self) -> tuple[Floats, Floats, Floats]:
        """Start, starting rate and slope of each segment."""
        edges, rates = np.asarray(self.edges_s), np.asarray(self.rates_rps)
        if self.shape == "constant":
            return edges[:-1], rates, np.zeros(len(rates))
        return edges[:-1], rates[:-1], np.diff(rates) / np.diff(edges)

    def _cumulative_at_edges(self) -> Floats:
        _, rates, slopes = self._segments()
        width_s = np.diff(np.asarray(self.edges_s))
        return np.concatenate(([0.0], np.cumsum((rates + slopes * width_s / 2) * width_s)))

    def _within(self, times_s: Floats) -> Floats:
        starts_s, rates, slopes = self._segments()
        i = np.clip(np.searchsorted(starts_s, times_s, side="right") - 1, 0, len(starts_s) - 1)
        into_s: Floats = times_s - starts_s[i]
        area: Floats = (rates[i] + slopes[i] * into_s / 2) * into_s
        return area + self._cumulative_at_edges()[i]

    def _invert_within(self, expected: Floats) -> Floats:
        starts_s, rates, slopes = self._segments()
        ends_s, cumulative = np.asarray(self.edges_s)[1:], self._cumulative_at_edges()
        i = np.clip(np.searchsorted(cumulative, expected, side="right") - 1, 0, len(starts_s) - 1)
        rest = expected - cumulative[i]
        # the root of r t + a t^2 / 2 = m in the form that stays exact for a -> 0 and for r = 0
        root = rates[i] + np.sqrt(np.maximum(rates[i] ** 2 + 2 * slopes[i] * rest, 0.0))
        into_s = np.divide(2 * rest, root, out=np.zeros_like(rest), where=root > 0)
        times_s: Floats = np.minimum(starts_s[i] + into_s, ends_s[i])
        return times_s


def week_profile(
    mean_rate_rps: float,
    hour_loads: Sequence[float],
    *,
    weekend_factor: float | None = None,
    day_factors: Sequence[float] | None = None,
) -> RateProfile:
    """A repeating week from Monday 00:00: one hourly curve, scaled day by day, with a given mean over the week.

    Parameters
    ----------
    mean_rate_rps : mean over the week, quiet hours and weekend included.
    hour_loads : 24 relative loads of a working day. Their common scale drops out unless `weekend_factor` is used.
    weekend_factor : load of a weekend day over the weekly mean load, when `hour_loads` are relative to the weekly mean.
    day_factors : instead, 7 relative day loads, Monday first.

    Raises
    ------
    ScenarioError : not 24 hours or 7 days, negative loads, or not exactly one of the last two arguments.
    """
    if len(hour_loads) != HOURS_PER_DAY:
        raise ScenarioError("needs 24 values", key="hour_loads", value=tuple(hour_loads))
    hours = np.asarray(hour_loads, dtype=np.float64)
    positive("hour_loads", float(hours.sum()))
    if (weekend_factor is None) == (day_factors is None):
        raise ScenarioError("give either weekend_factor or day_factors", key="day_factors", value=day_factors)
    if day_factors is None:
        day_factors = [float(hours.mean())] * WORKING_DAYS + [weekend_factor or 0.0] * (DAYS_PER_WEEK - WORKING_DAYS)
    if len(day_factors) != DAYS_PER_WEEK:
        raise ScenarioError("needs 7 values", key="day_factors", value=tuple(day_factors))
    loads = np.outer(np.asarray(day_factors, dtype=np.float64), hours / hours.mean()).ravel()
    edges_s = tuple(float(h) * HOUR_S for h in range(len(loads) + 1))
    return RateProfile(edges_s, tuple(loads.tolist())).scaled_to(mean_rate_rps)
