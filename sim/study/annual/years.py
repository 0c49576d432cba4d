"""Years of faults, read as segments and events on one line of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sim.faults.transition import Action, Transition
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
    tainted_s : replica-seconds of wrong tokens in all realisations together.
    """

    realisations: Sequence[Sequence[Transition]]
    each: int
    pools: tuple[int, ...]
    year_s: float = YEAR_S
    tainted_s: float = 0.0

    @property
    def count(self) -> int:
        """Years in all."""
        return self.each * len(self.realisations)

    @cached_property
    def pace(self) -> float:
        """What a step always takes longer, as told to all replicas at the very beginning; events count from there."""
        first = next(iter(self.realisations[0]), None)
        return first.value if first is not None and first.at_s == 0.0 and first.action is Action.PACE else 1.0

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
            steps = (rounded(t, self.pace) for t in transitions if t.at_s > 0.0 or t.action is not Action.PACE)
            found, happened = history(steps, self.pools, span_s)
            shift_s = index * span_s
            segments += [replace(s, begin_s=s.begin_s + shift_s, end_s=s.end_s + shift_s) for s in found]
            events += [replace(event, at_s=event.at_s + shift_s) for event in happened]
        return segments, events
