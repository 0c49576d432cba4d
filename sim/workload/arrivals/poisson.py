"""Poisson arrivals: many independent users, none of them large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.streams import BLOCK, Streams
from sim.workload.arrivals.process import BlockDrawn, Times
from sim.workload.checks import positive


@dataclass(frozen=True, slots=True)
class Poisson(BlockDrawn):
    """Exponential gaps.

    Parameters
    ----------
    rate_rps : mean arrivals per second.

    Raises
    ------
    ScenarioError : the rate is not positive.
    """

    rate_rps: float

    def __post_init__(self) -> None:
        positive("rate_rps", self.rate_rps)

    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:
        """Arrival times as consecutive arrays, without end."""
        rng = streams.generator(name)
        last_s = 0.0
        while True:
            times_s = last_s + np.cumsum(rng.standard_exponential(BLOCK)) / self.rate_rps
            last_s = float(times_s[-1])
            yield times_s
