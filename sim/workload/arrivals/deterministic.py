"""Arrivals at equal gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.streams import BLOCK, Streams
from sim.workload.arrivals.process import BlockDrawn, Times
from sim.workload.checks import positive


@dataclass(frozen=True, slots=True)
class Deterministic(BlockDrawn):
    """The i-th request arrives at i / rate, i = 1, 2, ...: what load generators call a constant rate.

    Parameters
    ----------
    rate_rps : arrivals per second.

    Raises
    ------
    ScenarioError : the rate is not positive.
    """

    rate_rps: float

    def __post_init__(self) -> None:
        positive("rate_rps", self.rate_rps)

    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:  # noqa: ARG002  draws nothing
        """Arrival times as consecutive arrays, without end and without accumulated rounding."""
        start = 1
        while True:
            yield np.arange(start, start + BLOCK, dtype=np.float64) / self.rate_rps
            start += BLOCK
