"""Outages of a network or a cloud that several vendors stand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.faults.outages import Outages
from sim.streams import Streams
from sim.units import YEAR_H

CAUSE: Final = "shared shock"
STREAM: Final = "shared_shock"


@dataclass(frozen=True, slots=True)
class SharedShock:
    """A Poisson stream of shocks that is the same for all who draw it in one replication.

    Attributes
    ----------
    rate_per_year : shocks.
    duration_mean_h : exponential.
    hit_probability : chance that a vendor is hit, each on its own.
    """

    rate_per_year: float
    duration_mean_h: float
    hit_probability: float = 1.0

    def draw(self, horizon_h: float, streams: Streams, name: str) -> Outages:
        """Those shocks that hit `name`; all its requests fail."""
        shocks, hits = streams.generator(STREAM), streams.generator(f"{name}.{STREAM}.hit")
        rows: list[tuple[float, float, float]] = []
        at_h = -50.0 * self.duration_mean_h
        while self.rate_per_year > 0.0:
            at_h += float(shocks.standard_exponential()) / self.rate_per_year * YEAR_H
            if at_h >= horizon_h:
                break
            end_h = at_h + float(shocks.standard_exponential()) * self.duration_mean_h
            if hits.random() < self.hit_probability and end_h > 0.0:
                rows.append((at_h, end_h, 1.0))
        return Outages.of(CAUSE, rows)
