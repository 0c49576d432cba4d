"""Years of faults, read as segments and events on one line of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sim.faults.transition import Transition
from sim.study.annual.history import Event, Segment, history
from sim.study.annual.shape import rounded
from sim.units import YEAR_S


@dataclass(frozen=True)
class Years:
    """Realisations of the clock of days, each of so many years.

    Attributes
    ----------
    realisations : transitions of all replicas in order of time, from zero; one tuple per realisation.
    each : years of a realisation.
    pools : replicas of each pool; (replicas,) where all do the same.
    year_s : what is called a year.
    """

    realisations: Sequence[Sequence[Transition]]
    each: int
    pools: tuple[int, ...]
    year_s: float = YEAR_S

    @property
    def count(self) -> int:
        """Years in all."""
        return self.each * len(self.realisations)

    @property
    def segments(self) -> list[Segment]:
        """One realisation after the other."""
        return self._joined[0]

    @property
    def events(self) -> list[Event]:
        """One realisation after the other."""
        return self._joined[1]

    @cached_property
    def _joined(self) -> tuple[list[Segment], list[Event]]:
        segments: list[Segment] = []
        events: list[Event] = []
        span_s = self.each * self.year_s
        for index, transitions in enumerate(self.realisations):
            found, happened = history(map(rounded, transitions), self.pools, span_s)
            shift_s = index * span_s
            segments += [replace(s, begin_s=s.begin_s + shift_s, end_s=s.end_s + shift_s) for s in found]
            events += [replace(event, at_s=event.at_s + shift_s) for event in happened]
        return segments, events
