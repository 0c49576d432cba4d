"""A superposition of clients of very different size, each bursty on its own."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from sim.errors import ScenarioError
from sim.streams import BLOCK, Streams
from sim.workload.arrivals.process import BlockDrawn, Times
from sim.workload.arrivals.renewal import Renewal
from sim.workload.checks import at_least_one, not_negative, positive


@dataclass(frozen=True, slots=True)
class ClientArrivals(BlockDrawn):
    """Independent Gamma renewal processes, one per client, shares of the rate in proportion to k^-zipf.

    Each client draws from a stream of its own (`arrivals.client.3`), so that one that leaves does not move the others.
    Aggregation smooths, but slowly: a hundred equal clients of cv 3 still have gaps of cv 1.8 together.

    Parameters
    ----------
    total_rate_rps : mean arrivals per second of all clients together, before any leaves.
    clients : how many.
    zipf : exponent of their sizes; 1.2 gives ten of a hundred clients 68 % of the traffic, zero makes all alike.
    cv : standard deviation over mean of each client's own gaps.
    without_largest : leave out so many of the largest; the others stay as they are, so the rate falls.
    duplicate_largest : so many of the largest come twice, the second of each with draws of its own
        (`arrivals.client.0.copy`), so the rate rises.

    Raises
    ------
    ScenarioError : a value out of range, or no client left.
    """

    total_rate_rps: float
    clients: int
    zipf: float
    cv: float
    without_largest: int = 0
    duplicate_largest: int = 0

    def __post_init__(self) -> None:
        positive("rate_rps", self.total_rate_rps)
        at_least_one("clients", self.clients)
        not_negative("zipf", self.zipf)
        not_negative("without_largest", self.without_largest)
        if self.without_largest >= self.clients:
            raise ScenarioError(
                "leaves no client", key="without_largest", value=self.without_largest, valid=f"below {self.clients}"
            )
        if not 0 <= self.duplicate_largest <= self.clients:
            raise ScenarioError(
                "is no number of these clients",
                key="duplicate_largest",
                value=self.duplicate_largest,
                valid=f"0 to {self.clients}",
            )
        Renewal("gamma", self.total_rate_rps, self.cv)  # refuses a cv out of range

    def rates_rps(self) -> list[float]:
        """Rate of each client, the largest first, those left out included."""
        sizes = np.arange(1, self.clients + 1, dtype=np.float64) ** -self.zipf
        return list((self.total_rate_rps * sizes / sizes.sum()).tolist())

    @property
    def rate_rps(self) -> float:
        """Mean rate of the clients that are left, and of those that came."""
        rates_rps = self.rates_rps()
        return float(sum(rates_rps[self.without_largest :])) + float(sum(rates_rps[: self.duplicate_largest]))

    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:
        """Arrival times as consecutive arrays, without end."""
        each = [
            Renewal("gamma", rate_rps, self.cv).times(streams, f"{name}.client.{number}")
            for number, rate_rps in enumerate(self.rates_rps())
            if number >= self.without_largest
        ]
        each += [
            Renewal("gamma", rate_rps, self.cv).times(streams, f"{name}.client.{number}.copy")
            for number, rate_rps in enumerate(self.rates_rps()[: self.duplicate_largest])
        ]
        together = heapq.merge(*each)
        while True:
            yield np.fromiter(islice(together, BLOCK), np.float64, BLOCK)
