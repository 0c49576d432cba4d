"""M/D/1: Poisson arrivals, constant service, one server: the whole law of the wait."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import gammaln, pdtrc

from sim.oracle.checks import positive, stable
from sim.oracle.mg1 import MG1


@dataclass(frozen=True, slots=True)
class MD1:
    """Constant service of one server.

    Parameters
    ----------
    rate_rps : arrivals per second.
    service_s : service time; rate_rps * service_s < 1.

    Raises
    ------
    ValueError : an argument is not positive, or the load is not below 1.

    Notes
    -----
    Erlang's series of 1909 alternates and is lost in double precision beyond a wait of some tens of services. Here the
    wait is taken from the law of the number in the system (Franx 2001), and that from Ramaswami's recursion (1988); all
    terms of both are positive. Cost O(k^2) for a wait of k services.

    Sources
    -------
    Checked at load 0.9 and service 1: P(wait <= 5) 0.66870915, P(wait <= 10) 0.88240302, p99 21.898237; and against
    Erlang's series in 60 digits.
    """

    rate_rps: float
    service_s: float

    def __post_init__(self) -> None:
        positive(rate_rps=self.rate_rps, service_s=self.service_s)
        stable(self.load)

    @property
    def load(self) -> float:
        """Share of time the server is busy; also the chance that a request must wait."""
        return self.rate_rps * self.service_s

    @property
    def mean_wait_s(self) -> float:
        """Mean time before service."""
        return MG1(self.rate_rps, self.service_s, 0.0).mean_wait_s

    @property
    def mean_sojourn_s(self) -> float:
        """Mean time in the system."""
        return self.mean_wait_s + self.service_s

    def number_probabilities(self, count: int) -> npt.NDArray[np.float64]:
        """(count,) share of time with 0, 1, ... requests in the system, by Ramaswami's recursion."""
        load = self.load
        tail = pdtrc(np.arange(count + 1) - 1.0, load)  # chance of at least k arrivals during a service
        tail[0] = 1.0
        p = np.zeros(count)
        p[0] = 1.0 - load
        for i in range(1, count):
            p[i] = (p[0] * tail[i] + p[1:i] @ tail[i:1:-1]) / (1.0 - tail[1])
        return p

    def wait_at_most_frac(self, time_s: float) -> float:
        """Chance that the wait is at most `time_s`."""
        if time_s < 0.0:
            return 0.0
        services = int(time_s // self.service_s) + 1
        before = self.rate_rps * (services * self.service_s - time_s)  # mean arrivals in the rest of the last service
        queue = np.cumsum(self.number_probabilities(services + 1))[1:]  # chance of at most m waiting, m = 0, 1, ...
        j = np.arange(services)
        logs = j * np.log(before) - before - gammaln(j + 1.0)
        return float(queue[::-1] @ np.exp(logs))

    def wait_exceeds_frac(self, time_s: float) -> float:
        """Chance that the wait is above `time_s`."""
        return 1.0 - self.wait_at_most_frac(time_s)

    def wait_quantile_s(self, p: float) -> float:
        """Wait that a share p of the requests does not exceed; zero up to p = 1 - load."""
        if p <= 1.0 - self.load:
            return 0.0
        high = ceil(1.0 / (1.0 - self.load)) * self.service_s
        while self.wait_at_most_frac(high) < p:
            high *= 2.0
        return float(brentq(lambda time_s: self.wait_at_most_frac(time_s) - p, 0.0, high, xtol=1e-12 * high))
