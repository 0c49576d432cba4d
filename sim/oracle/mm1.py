"""M/M/1: Poisson arrivals, exponential service, one server, first come first served."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

from sim.oracle.checks import positive, stable


@dataclass(frozen=True, slots=True)
class MM1:
    """The single exponential server.

    Parameters
    ----------
    rate_rps : arrivals per second.
    service_s : mean service time; rate_rps * service_s < 1.

    Raises
    ------
    ValueError : an argument is not positive, or the load is not below 1.

    Sources
    -------
    Kleinrock, Queueing Systems I (1975), section 3.2. Checked at load 0.9 and service 1: mean wait 9, median sojourn
    6.9314718, p99 of the sojourn 46.051702, p99 of the wait 44.998097.
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
    def mean_sojourn_s(self) -> float:
        """Mean time in the system."""
        return self.service_s / (1.0 - self.load)

    @property
    def mean_wait_s(self) -> float:
        """Mean time before service."""
        return self.load * self.mean_sojourn_s

    @property
    def mean_number(self) -> float:
        """Mean number of requests in the system."""
        return self.rate_rps * self.mean_sojourn_s

    def sojourn_exceeds_frac(self, time_s: float) -> float:
        """Chance that the time in the system is above `time_s`: it is exponential."""
        return exp(-time_s / self.mean_sojourn_s)

    def wait_exceeds_frac(self, time_s: float) -> float:
        """Chance that the wait is above `time_s` >= 0."""
        return self.load * exp(-time_s / self.mean_sojourn_s)

    def sojourn_quantile_s(self, p: float) -> float:
        """Time in the system that a share p of the requests does not exceed."""
        return -self.mean_sojourn_s * log(1.0 - p)

    def wait_quantile_s(self, p: float) -> float:
        """Wait that a share p of the requests does not exceed; zero up to p = 1 - load."""
        return max(0.0, self.mean_sojourn_s * log(self.load / (1.0 - p)))
