"""What one fault, one restart or one upgrade does to the work in hand and to what waits."""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1

from sim.oracle.checks import positive, stable


def hit_frac(fault_per_s: float, request_s: float) -> float:
    """Chance that a request of `request_s` is hit by a fault.

    Sources
    -------
    1 - exp(-rate t). Checked: 600 s on four nodes at 5 per 1,000 node-days: 1.388792443e-4.
    """
    positive(fault_per_s=fault_per_s, request_s=request_s)
    return -expm1(-fault_per_s * request_s)


def attained_tokens(mean_tokens: float, cv: float) -> float:
    """Mean number of tokens that a request in service has at a random moment.

    Sources
    -------
    Length-biased age, E[L^2] / (2 E[L]). Checked: mean 500 with cv 1 and 0: 500 and 250; mean 2,000, cv 1.5: 3,250.
    """
    positive(mean_tokens=mean_tokens)
    return mean_tokens * (1.0 + cv**2) / 2.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What an outage of `outage_s` leaves behind at a load of `load` of the capacity, as a fluid.

    Sources
    -------
    Drain load D / (1 - load); requests delayed per unit of arrival rate D / (1 - load). Checked: 348 s at 0.7: 812 and
    1,160; 348 s at 0.9: 3,132 and 3,480; 11 s at 0.7: 25.667 and 36.667; 1,500 s at 0.7: 3,500 and 5,000.
    """

    outage_s: float
    load: float

    def __post_init__(self) -> None:
        positive(outage_s=self.outage_s, load=self.load)
        stable(self.load)

    @property
    def drain_s(self) -> float:
        """Time from the end of the outage until the backlog is gone."""
        return self.load * self.outage_s / (1.0 - self.load)

    @property
    def delayed_per_rps(self) -> float:
        """Requests that wait, per request a second that arrives."""
        return self.outage_s / (1.0 - self.load)


def elastic_capacity(fault_per_h: float, pauses_h: float, degraded_h: float, degraded_frac: float) -> float:
    """Mean capacity of a group that pauses at a fault and at the return, and works at a lower capacity in between.

    No fault strikes while it is degraded.

    Sources
    -------
    Renewal reward, (1 + l d c) / (1 + l (d + p)). Checked: four nodes at 5 per 1,000 node-days, pauses of 19 s, 24 h at
    24/32: 0.9950937485; 0.01 /h, 0.03 h, 10 h at 0.75: 0.9770062710.
    """
    positive(fault_per_h=fault_per_h, pauses_h=pauses_h, degraded_h=degraded_h)
    gained = 1.0 + fault_per_h * degraded_h * degraded_frac
    return gained / (1.0 + fault_per_h * (degraded_h + pauses_h))


@dataclass(frozen=True, slots=True)
class RollingUpgrade:
    """Replicas restarted one after the other.

    Sources
    -------
    Checked: four replicas, 348 s each: 1,392 s at three quarters of the capacity, 1,392 replica-seconds lost.
    """

    replicas: int
    restart_s: float

    @property
    def total_s(self) -> float:
        """How long it takes."""
        return self.replicas * self.restart_s

    @property
    def capacity_frac(self) -> float:
        """Capacity meanwhile."""
        return (self.replicas - 1) / self.replicas

    @property
    def lost_replica_s(self) -> float:
        """Replica-seconds without service."""
        return self.total_s * (1.0 - self.capacity_frac) * self.replicas


def backoff_sum_ms(first_ms: float, factor: float, retries: int) -> float:
    """All waits between the attempts of a client together, without jitter.

    Sources
    -------
    Geometric sum. Checked: 50 ms, 1.5, five retries: 659.375 ms.
    """
    positive(first_ms=first_ms, factor=factor)
    return sum(first_ms * factor**attempt for attempt in range(retries))
