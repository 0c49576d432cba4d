"""M/G/1: Poisson arrivals, any service law, one server, first come first served."""

from __future__ import annotations

from dataclasses import dataclass

from sim.oracle.checks import positive, stable


@dataclass(frozen=True, slots=True)
class MG1:
    """Pollaczek and Khinchine's mean wait.

    Parameters
    ----------
    rate_rps : arrivals per second.
    service_s : mean service time; rate_rps * service_s < 1.
    service_scv : squared coefficient of variation of the service time: 1 exponential, 0 constant, 1 - p for a geometric
        number of equal steps with chance p of being the last.

    Raises
    ------
    ValueError : an argument out of range, or the load is not below 1.

    Sources
    -------
    Kleinrock, Queueing Systems I (1975), section 5.6. Checked: load 0.8, scv 4: mean wait 10.
    """

    rate_rps: float
    service_s: float
    service_scv: float

    def __post_init__(self) -> None:
        positive(rate_rps=self.rate_rps, service_s=self.service_s)
        if not self.service_scv >= 0.0:
            raise ValueError(f"service_scv must not be negative, is {self.service_scv!r}")
        stable(self.load)

    @property
    def load(self) -> float:
        """Share of time the server is busy; also the chance that a request must wait."""
        return self.rate_rps * self.service_s

    @property
    def mean_wait_s(self) -> float:
        """Mean time before service."""
        return self.load * self.service_s * (1.0 + self.service_scv) / (2.0 * (1.0 - self.load))

    @property
    def mean_sojourn_s(self) -> float:
        """Mean time in the system."""
        return self.mean_wait_s + self.service_s

    @property
    def mean_number(self) -> float:
        """Mean number of requests in the system."""
        return self.rate_rps * self.mean_sojourn_s


@dataclass(frozen=True, slots=True)
class MG1PS:
    """M/G/1 whose server is shared equally by all requests present.

    Parameters
    ----------
    rate_rps : arrivals per second.
    service_s : mean service time when alone; rate_rps * service_s < 1.

    Raises
    ------
    ValueError : an argument is not positive, or the load is not below 1.

    Notes
    -----
    The mean depends on the service law through its mean alone (a symmetric queue).

    Sources
    -------
    Kleinrock, Queueing Systems II (1976), section 4.4; variance for exponential service from Coffman, Muntz and Trotter
    (1970). Checked: load 0.8: mean 5 and 10 for a service of 2; load 0.5: variance 6.6666667.
    """

    rate_rps: float
    service_s: float

    def __post_init__(self) -> None:
        positive(rate_rps=self.rate_rps, service_s=self.service_s)
        stable(self.load)

    @property
    def load(self) -> float:
        """Share of time the server is busy."""
        return self.rate_rps * self.service_s

    @property
    def mean_sojourn_s(self) -> float:
        """Mean time in the system, for any service law."""
        return self.service_s / (1.0 - self.load)

    @property
    def mean_number(self) -> float:
        """Mean number of requests in the system."""
        return self.rate_rps * self.mean_sojourn_s

    def mean_sojourn_of_s(self, own_service_s: float) -> float:
        """Mean time in the system of a request whose service alone takes `own_service_s`: proportional to it."""
        return own_service_s / (1.0 - self.load)

    @property
    def exponential_variance_s2(self) -> float:
        """Variance of the time in the system, in seconds squared, when service is exponential."""
        return self.mean_sojourn_s**2 * (2.0 + self.load) / (2.0 - self.load)
