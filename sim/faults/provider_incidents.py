"""A provider's incidents: clustered starts, lognormal durations, and what share of requests fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, expm1, sqrt
from typing import Final

import numpy as np
from scipy.optimize import brentq

from sim.errors import ScenarioError
from sim.faults.outages import Outages
from sim.streams import Streams, blockwise

WEEK_H: Final = 168.0
WEEKDAYS_H: Final = 120.0
WARM_UP_H: Final = (
    26 * WEEK_H
)  # whole weeks, so that time zero is a Monday, and many gaps, so that it is like any other
BLOCK: Final = 64
CAUSE: Final = "incidents"


@dataclass(frozen=True, slots=True)
class IncidentLaw:
    """Incidents that follow each other without overlap.

    Attributes
    ----------
    gap_mean_h, gap_cv : from start to start.
    duration_mu, duration_sigma : mean and standard deviation of the logarithm of hours.
    partial_frac, major_frac : share of incidents in which `partial_severity` or all of the requests fail; in the
        others, which a status page lists as well, none do.
    partial_severity : share of requests that fail in a partial outage.
    coverage : share of such an incident's duration, its first part, in which they fail.
    weekend_factor : rate on a weekend day over that on a weekday; the mean over the week stays.

    Raises
    ------
    ScenarioError : incidents longer than the gaps, shares beyond one, or a gap law less variable than a
        hyper-exponential law can be.

    Notes
    -----
    Quiet times are hyper-exponential with balanced means. An incident that would start on a weekend happens with chance
    `weekend_factor`, and else the quiet goes on; quiet times are shortened so that the mean gap is as given.
    """

    gap_mean_h: float
    gap_cv: float
    duration_mu: float
    duration_sigma: float
    partial_frac: float = 0.0
    major_frac: float = 1.0
    partial_severity: float = 0.3
    coverage: float = 1.0
    weekend_factor: float = 1.0

    def __post_init__(self) -> None:
        if not self.duration_mean_h < self.gap_mean_h:
            raise ScenarioError(
                "incidents are as long as their gaps",
                key="gap_mean_h",
                value=self.gap_mean_h,
                valid=f"above {self.duration_mean_h:.3g} h",
            )
        for key in ("partial_frac", "major_frac", "partial_severity", "coverage", "weekend_factor"):
            if not 0.0 <= getattr(self, key) <= 1.0:
                raise ScenarioError("out of range", key=key, value=getattr(self, key), valid="0 to 1")
        if self.partial_frac + self.major_frac > 1.0 + 1e-12:
            raise ScenarioError("with major_frac beyond one", key="partial_frac", value=self.partial_frac)
        if self.quiet_scv < 1.0:
            raise ScenarioError("is too regular", key="gap_cv", value=self.gap_cv, valid="about 1 or more")

    @property
    def duration_mean_h(self) -> float:
        """Mean of the lognormal law."""
        return exp(self.duration_mu + self.duration_sigma**2 / 2.0)

    @property
    def incident_time_frac(self) -> float:
        """Share of time within an incident, however narrow: mean duration over mean gap."""
        return self.duration_mean_h / self.gap_mean_h

    @property
    def clear_frac(self) -> float:
        """Expected share of time in which no request fails."""
        return 1.0 - self.incident_time_frac * self.coverage * (self.partial_frac + self.major_frac)

    @property
    def served_frac(self) -> float:
        """Expected share of requests that do not fail."""
        failing = self.partial_frac * self.partial_severity + self.major_frac
        return 1.0 - self.incident_time_frac * self.coverage * failing

    @property
    def quiet_mean_h(self) -> float:
        """Mean quiet time before an incident that may be thinned out.

        Incidents a week: 120 l / (1 + l D) + 48 w l / (1 + w l D), with l incidents per quiet hour, D the mean duration
        and w the weekend's factor; l is the root that gives one per mean gap.
        """
        duration_h, weekend = self.duration_mean_h, self.weekend_factor

        def excess(rate: float) -> float:
            week = WEEKDAYS_H * rate / (1.0 + rate * duration_h)
            week += (WEEK_H - WEEKDAYS_H) * weekend * rate / (1.0 + weekend * rate * duration_h)
            return week - WEEK_H / self.gap_mean_h

        if weekend == 1.0:
            return self.gap_mean_h - duration_h
        high = 4.0 / (self.gap_mean_h - duration_h)
        if excess(high) <= 0.0:
            raise ScenarioError(
                "leaves no room for so many incidents on weekdays", key="weekend_factor", value=self.weekend_factor
            )
        return 1.0 / float(brentq(excess, 0.0, high, xtol=1e-14))

    @property
    def quiet_scv(self) -> float:
        """Squared coefficient of variation of quiet times that gives the gaps theirs.

        A gap is one duration and a geometric number of quiet times, of which a share k is followed by an incident.
        """
        quiet_h, duration_h = self.quiet_mean_h, self.duration_mean_h
        kept = min(1.0, quiet_h / (self.gap_mean_h - duration_h))
        variance = (self.gap_cv * self.gap_mean_h) ** 2 - duration_h**2 * expm1(self.duration_sigma**2)
        return kept * (variance - quiet_h**2 * (1.0 - kept) / kept**2) / quiet_h**2

    def draw(self, horizon_h: float, streams: Streams, name: str) -> Outages:
        """The incidents of `horizon_h`, those in which no request fails left out.

        Parameters
        ----------
        name : of the provider; its draws come from streams under it.
        """
        quiet = self._quiet_times(streams.generator(f"{name}.incidents.quiet"))
        weekend = blockwise(streams.generator(f"{name}.incidents.weekend").random, BLOCK)
        severity = blockwise(streams.generator(f"{name}.incidents.severity").random, BLOCK)
        lengths = streams.generator(f"{name}.incidents.duration")
        duration = blockwise(lambda n: lengths.lognormal(self.duration_mu, self.duration_sigma, n), BLOCK)
        rows: list[tuple[float, float, float]] = []
        at_h = -WARM_UP_H
        while True:
            at_h += next(quiet)
            if at_h >= horizon_h:
                return Outages.of(CAUSE, rows)
            if at_h % WEEK_H >= WEEKDAYS_H and next(weekend) >= self.weekend_factor:
                continue
            length_h, share = next(duration), self._severity(next(severity))
            if share > 0.0 and at_h + length_h > 0.0:
                rows.append((at_h, at_h + self.coverage * length_h, share))
            at_h += length_h

    def _severity(self, uniform: float) -> float:
        if uniform < self.major_frac:
            return 1.0
        return self.partial_severity if uniform < self.major_frac + self.partial_frac else 0.0

    def _quiet_times(self, rng: np.random.Generator) -> Iterator[float]:
        mean_h, scv = self.quiet_mean_h, self.quiet_scv
        short = (1.0 + sqrt((scv - 1.0) / (scv + 1.0))) / 2.0  # balanced means: both phases have half of the time

        def draw(count: int) -> np.ndarray:
            means = np.where(rng.random(count) < short, mean_h / (2.0 * short), mean_h / (2.0 * (1.0 - short)))
            return rng.standard_exponential(count) * means

        return blockwise(draw, BLOCK)
