"""Rare and long losses of a provider: withdrawal by order, cut-off, retirement. Stated rates, never forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from typing import Final

import numpy as np
from scipy.special import gammaincinv

from sim.faults.outages import Outages
from sim.streams import Streams
from sim.units import DAY_H, YEAR_H

RETIREMENT_WARM_UP_H: Final = (
    20 * YEAR_H
)  # several lives, so that the age of the model at time zero is that of any moment


@dataclass(frozen=True, slots=True)
class JeffreysRate:
    """What a few events in a known exposure say about a rate: Gamma(events + 1/2, exposure).

    Sources
    -------
    Jeffreys prior of a Poisson rate. Checked: 1 event in 10.5 years: mean 0.14, 90 % 0.017 to 0.37; 2 events: 0.24,
    0.05 to 0.53; 0 in 1.5: 0.33, 0.001 to 1.28.
    """

    events: int
    exposure_years: float

    @property
    def mean(self) -> float:
        """Mean rate per year."""
        return (self.events + 0.5) / self.exposure_years

    def interval(self, confidence: float = 0.9) -> tuple[float, float]:
        """Equal-tailed interval."""
        tail = (1.0 - confidence) / 2.0
        low, high = gammaincinv(self.events + 0.5, [tail, 1.0 - tail]) / self.exposure_years
        return float(low), float(high)

    def draw(self, rng: np.random.Generator) -> float:
        """A rate."""
        return float(rng.gamma(self.events + 0.5) / self.exposure_years)


@dataclass(frozen=True, slots=True)
class Loss:
    """How long the service is gone when access ends.

    Attributes
    ----------
    duration_days : until access comes back; infinite where it does not.
    notice_days : between the announcement and the end of access.
    migration_days : from the announcement until the service runs elsewhere.
    severity : share of requests that need what is gone.
    """

    duration_days: float = inf
    notice_days: float = 0.0
    migration_days: float = inf
    severity: float = 1.0

    @property
    def outage_h(self) -> float:
        """min(duration, migration - notice), at least 0."""
        return max(0.0, min(self.duration_days, self.migration_days - self.notice_days)) * DAY_H


@dataclass(frozen=True, slots=True)
class AccessRisk:
    """Events of one class, a Poisson stream.

    Attributes
    ----------
    cause : its name.
    rate : per year; a `JeffreysRate` draws one rate for each replication.
    loss : what an event takes.
    happens : also place one event at a random moment of the horizon: a stress case, not a rate.
    """

    cause: str
    rate: float | JeffreysRate
    loss: Loss
    happens: bool = False

    def draw(self, horizon_h: float, streams: Streams, name: str) -> Outages:
        """The events, those that began before time zero and last included."""
        rng = streams.generator(f"{name}.{self.cause}")
        drawn = self.rate.draw(rng) if isinstance(self.rate, JeffreysRate) else self.rate
        outage_h = self.loss.outage_h
        uniform = float(rng.random())
        starts = [uniform * max(0.0, horizon_h - outage_h)] if self.happens else []
        at_h = -outage_h if np.isfinite(outage_h) else 0.0
        while drawn > 0.0:
            at_h += float(rng.standard_exponential()) / drawn * YEAR_H
            if at_h >= horizon_h:
                break
            starts.append(at_h)
        rows = [(start, start + outage_h, self.loss.severity) for start in starts if outage_h > 0.0]
        return Outages.of(self.cause, rows)


@dataclass(frozen=True, slots=True)
class Retirement:
    """Models that are withdrawn after a lognormal life, each replaced by a new one.

    Attributes
    ----------
    median_days, sigma : median life and standard deviation of its logarithm.
    loss : notice and migration; an outage only where migration takes longer than the notice.
    cause : its name.
    """

    median_days: float
    sigma: float
    loss: Loss
    cause: str = "retirement"

    def draw_h(self, horizon_h: float, streams: Streams, name: str) -> list[float]:
        """Moments of retirement within the horizon; the age at time zero is that of a random moment."""
        rng = streams.generator(f"{name}.{self.cause}")
        at_h = -RETIREMENT_WARM_UP_H
        found: list[float] = []
        while True:
            at_h += float(rng.lognormal(log(self.median_days), self.sigma)) * DAY_H
            if at_h >= horizon_h:
                return found
            if at_h >= 0.0:
                found.append(at_h)

    def outages(self, moments_h: list[float]) -> Outages:
        """What is lost at those moments."""
        outage_h = self.loss.outage_h
        rows = [(at, at + outage_h, self.loss.severity) for at in moments_h if outage_h > 0.0]
        return Outages.of(self.cause, rows)
