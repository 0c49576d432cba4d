"""Prices that a provider changes from time to time."""

from __future__ import annotations

from dataclasses import dataclass
from math import log1p, sqrt

import numpy as np

from sim.faults.outages import Floats
from sim.streams import Streams
from sim.units import YEAR_H


@dataclass(frozen=True, slots=True)
class PriceChanges:
    """A Poisson stream of changes, each by a lognormal factor.

    Attributes
    ----------
    per_year : changes.
    drift_frac : mean of the price after a year over that of today, minus one.
    volatility : standard deviation of the logarithm of the price, per square root of year.

    Notes
    -----
    The factor of one change has mean 1 + ln(1 + drift) / rate, so that the mean after t years is (1 + drift)^t exactly.
    """

    per_year: float
    drift_frac: float
    volatility: float

    def draw(self, horizon_h: float, streams: Streams, name: str) -> tuple[Floats, Floats]:
        """Moments of change in hours, and the price from each on as a multiple of today's."""
        rng = streams.generator(f"{name}.price")
        count = int(rng.poisson(self.per_year * horizon_h / YEAR_H))
        at_h = np.sort(rng.random(count)) * horizon_h
        sigma = self.volatility / sqrt(self.per_year)
        mean = max(1.0 + log1p(self.drift_frac) / self.per_year, 1e-3)
        factors = mean * np.exp(sigma * rng.standard_normal(count) - sigma**2 / 2.0)
        return at_h, np.asarray(np.cumprod(factors), dtype=np.float64)
