"""GI/M/1: independent gaps of any law, exponential service, one server, first come first served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, gamma, log

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from sim.oracle.checks import positive, stable

Transform = Callable[[float], float]


def gamma_gaps(mean_s: float, scv: float) -> Transform:
    """Laplace transform of a gamma law by mean and squared coefficient of variation (vLLM's burstiness is 1 / scv)."""
    positive(mean_s=mean_s, scv=scv)
    return lambda s: (1.0 + s * mean_s * scv) ** (-1.0 / scv)


def constant_gaps(mean_s: float) -> Transform:
    """Laplace transform of equal gaps."""
    positive(mean_s=mean_s)
    return lambda s: exp(-s * mean_s)


def weibull_gaps(mean_s: float, shape: float) -> Transform:
    """Laplace transform of a Weibull law by mean and shape, by quadrature to 1e-12."""
    positive(mean_s=mean_s, shape=shape)
    scale_s = mean_s / gamma(1.0 + 1.0 / shape)

    def transform(s: float) -> float:
        # with u = 1 - exp(-(t / scale)^shape) the integrand is bounded and the range is the unit interval
        value, _ = quad(
            lambda u: exp(-s * scale_s * (-np.log1p(-u)) ** (1.0 / shape)),
            0.0,
            1.0,
            epsabs=1e-12,
            epsrel=1e-12,
            limit=500,
        )
        return float(value)

    return transform


@dataclass(frozen=True, slots=True)
class GIM1:
    """Renewal arrivals at one exponential server.

    Parameters
    ----------
    gaps : Laplace transform of the law of the gaps.
    mean_gap_s : their mean.
    service_s : mean service time, below the mean gap.

    Raises
    ------
    ValueError : an argument is not positive, or the load is not below 1.

    Notes
    -----
    sigma, the chance that an arrival finds the server busy, is the root in (0, 1) of sigma = A((1 - sigma) / service).

    Sources
    -------
    Kleinrock, Queueing Systems I (1975), section 6.4. Checked: gamma gaps with scv 4, load 0.8, service 1: sigma
    0.91635458, mean wait 10.955228, p99 of the wait 54.011546; exponential gaps give M/M/1.
    """

    gaps: Transform
    mean_gap_s: float
    service_s: float

    def __post_init__(self) -> None:
        positive(mean_gap_s=self.mean_gap_s, service_s=self.service_s)
        stable(self.load)

    @property
    def load(self) -> float:
        """Share of time the server is busy."""
        return self.service_s / self.mean_gap_s

    @property
    def delayed_frac(self) -> float:
        """Chance that a request must wait (sigma)."""
        # the other root is 1; below it the difference is negative, since the slope of A there is 1 / load > 1
        root = brentq(lambda x: self.gaps((1.0 - x) / self.service_s) - x, 0.0, 1.0 - 1e-9, xtol=1e-15, rtol=1e-14)
        return float(root)

    @property
    def mean_sojourn_s(self) -> float:
        """Mean time in the system; the law is exponential."""
        return self.service_s / (1.0 - self.delayed_frac)

    @property
    def mean_wait_s(self) -> float:
        """Mean time before service."""
        return self.mean_sojourn_s - self.service_s

    def wait_exceeds_frac(self, time_s: float) -> float:
        """Chance that the wait is above `time_s` >= 0."""
        return self.delayed_frac * exp(-time_s / self.mean_sojourn_s)

    def wait_quantile_s(self, p: float) -> float:
        """Wait that a share p of the requests does not exceed."""
        return max(0.0, self.mean_sojourn_s * log(self.delayed_frac / (1.0 - p)))

    def sojourn_exceeds_frac(self, time_s: float) -> float:
        """Chance that the time in the system is above `time_s`."""
        return exp(-time_s / self.mean_sojourn_s)
