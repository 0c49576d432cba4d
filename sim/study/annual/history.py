"""What years of transitions say: how long the cluster was in which stratum, and what befell one replica at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from sim.faults.transition import Action, Transition
from sim.study.annual.stratum import WHOLE, Ability, Stratum, stratum_of


@dataclass(frozen=True, slots=True)
class Event:
    """All that happens to one replica from when it stops being whole until it is whole again.

    Attributes
    ----------
    at_s : when it begins.
    pool : of the replica.
    cause : fault class or planned work behind its first transition.
    entry : the cluster at that moment, with this replica whole.
    steps : its transitions, at times since `at_s`.
    """

    at_s: float
    pool: int
    cause: str
    entry: Stratum
    steps: tuple[Transition, ...]

    @property
    def gaps_s(self) -> tuple[float, ...]:
        """Seconds from each step to the next."""
        return tuple(b.at_s - a.at_s for a, b in pairwise(self.steps))


@dataclass(frozen=True, slots=True)
class Segment:
    """A time in which no replica changes what it can do.

    Attributes
    ----------
    begin_s, end_s : from and to.
    stratum : of the cluster.
    causes : of the events under way, one each.
    """

    begin_s: float
    end_s: float
    stratum: Stratum
    causes: tuple[str, ...]


@dataclass(slots=True)
class _Replica:
    """One replica, as far as it has been read."""

    pool: int
    ability: Ability = WHOLE
    admits: bool = True
    begun_s: float = 0.0
    entry: Stratum = ()
    steps: list[Transition] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        """Whether an event is under way."""
        return bool(self.steps) and not (self.ability.whole and self.admits)

    def over(self, now_s: float) -> bool:
        """Whether its event ended at an earlier instant."""
        return bool(self.steps) and not self.busy and now_s > self.begun_s + self.steps[-1].at_s

    def take(self, transition: Transition, entry: Stratum) -> None:
        """One step further."""
        if not self.steps:
            self.begun_s, self.entry = transition.at_s, entry
        self.steps.append(replace(transition, at_s=transition.at_s - self.begun_s))
        self.ability = self.ability.after(transition)
        if transition.action is Action.DRAIN:
            self.admits = False
        elif transition.action in {Action.ADMIT, Action.UP}:
            self.admits = True

    def event(self) -> Event:
        """What is over; the next one begins with the next step."""
        steps, self.steps = tuple(self.steps), []
        return Event(self.begun_s, self.pool, steps[0].cause, self.entry, steps)


def history(
    transitions: Iterable[Transition], pools: Sequence[int], horizon_s: float
) -> tuple[list[Segment], list[Event]]:
    """Segments that fill the horizon, and events in order of their end; one under way at the horizon is left out.

    A pause that stands alone is an event of its own. One that follows while its replica is not whole belongs to what
    made it so; one that comes with the step that makes a replica whole again belongs to that.

    Parameters
    ----------
    transitions : of all replicas, in order of time.
    pools : replicas of each pool.
    """
    replicas = [_Replica(pool) for pool, size in enumerate(pools) for _ in range(size)]
    segments: list[Segment] = []
    events: list[Event] = []
    since_s, stratum = 0.0, stratum_of([replica.ability for replica in replicas], pools)
    for transition in transitions:
        at_s = transition.at_s
        if at_s >= horizon_s:
            break
        if at_s > since_s:
            segments.append(Segment(since_s, at_s, stratum, _causes(replicas)))
            since_s = at_s
        replica = replicas[transition.replica]
        if replica.over(at_s):
            events.append(replica.event())
        replica.take(transition, stratum)
        stratum = stratum_of([other.ability for other in replicas], pools)
    segments.append(Segment(since_s, horizon_s, stratum, _causes(replicas)))
    events += [replica.event() for replica in replicas if replica.over(horizon_s)]
    return segments, events


def _causes(replicas: Iterable[_Replica]) -> tuple[str, ...]:
    """Of the events under way."""
    return tuple(replica.steps[0].cause for replica in replicas if replica.busy)
