"""Events that differ in length only: what is simulated once for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, log
from typing import Final

from sim.faults.transition import Action, Transition
from sim.study.annual.history import Event, Segment
from sim.study.annual.stratum import WHOLE, Ability, Stratum, opening, stratum_of

LONGEST_S: Final = 4500.0  # longest outage simulated: more than an hour, so that the worst hour is seen whole
FEW: Final = 1.5  # two durations that differ by less than this factor are one
APART: Final = 6.0  # between two that differ by more there is another
SHORTEST_S: Final = 30.0  # what lasts less, but for a kind that always does, has the response to so long an event
MOST: Final = 5  # durations simulated
MOST_KINDS: Final = 8
RARE_FRAC: Final = 0.005  # of the events: a kind that comes less often has the response of another
PACE_DIGITS: Final = 1  # paces are told apart by tenths

Kind = tuple[tuple[Action, float, int], ...]
"""Actions of an event in order, with the pace of each PACE and the number of ranks."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which response belongs to an event: kind, pool, and what the others are like when it begins."""

    kind: Kind
    pool: int
    entry: Stratum


@dataclass(frozen=True, slots=True)
class Shape:
    """Events of one kind: their gaps, of which the longest varies and the others are taken at their means.

    Attributes
    ----------
    gaps_s : seconds from each action to the next; that of `varying` is the mean duration.
    varying : which gap varies; -1 for an event at one instant.
    durations_s : durations to simulate, ascending.
    values, ranks : of the transitions; seconds of a PAUSE at their mean.
    """

    gaps_s: tuple[float, ...]
    varying: int
    durations_s: tuple[float, ...]
    values: tuple[float, ...]
    ranks: tuple[tuple[int, ...], ...]

    def duration_s(self, event: Event) -> float:
        """How long an event was in the state that varies; of one of another kind, the longest of its gaps."""
        gaps = event.gaps_s
        return gaps[self.varying] if self.varying >= 0 and len(gaps) == len(self.gaps_s) else max(gaps, default=0.0)


def kind_of(event: Event) -> Kind:
    """What tells its response from that of others."""
    return tuple(
        (step.action, step.value if step.action is Action.PACE else 0.0, len(step.ranks)) for step in event.steps
    )


def key_of(event: Event) -> Key:
    """Kind, pool and company of an event."""
    return Key(kind_of(event), event.pool, event.entry)


def rounded(transition: Transition, usual: float = 1.0) -> Transition:
    """The same with its pace in tenths of the usual one."""
    if transition.action is not Action.PACE:
        return transition
    return replace(transition, value=round(transition.value / usual, PACE_DIGITS))


def usual_kinds(events: Iterable[Event]) -> dict[Kind, Kind]:
    """For every kind, the one whose response it has: itself, if it is common.

    A rare one, such as a second fault during an elastic one, has that of the commonest kind that begins alike, or of
    the commonest of all.
    """
    counts: dict[Kind, int] = defaultdict(int)
    for event in events:
        counts[kind_of(event)] += 1
    ranked = sorted(counts, key=lambda kind: -counts[kind])
    least = RARE_FRAC * sum(counts.values())
    kept = [kind for index, kind in enumerate(ranked) if index == 0 or (index < MOST_KINDS and counts[kind] >= least)]
    found = {kind: kind for kind in kept}
    for kind in ranked[len(kept) :]:
        alike = [other for other in kept if _begins(other) == _begins(kind)]
        found[kind] = (alike or kept)[0]
    return found


def _begins(kind: Kind) -> Action:
    """The first action that changes what a replica can do; that of a pause where there is none."""
    return next((action for action, _, _ in kind if action is not Action.PAUSE), Action.PAUSE)


def shapes(
    events: Iterable[Event], longest_s: float = LONGEST_S, kinds: Collection[Kind] | None = None
) -> dict[Kind, Shape]:
    """One shape per kind, or per one of `kinds`, with nothing simulated that lasts longer than `longest_s`."""
    found: dict[Kind, list[Event]] = defaultdict(list)
    for event in events:
        if kinds is None or kind_of(event) in kinds:
            found[kind_of(event)].append(event)
    return {kind: _shape(members, longest_s) for kind, members in found.items()}


def _shape(events: Sequence[Event], longest_s: float) -> Shape:
    count = len(events)
    gaps = [sum(column) / count for column in zip(*(event.gaps_s for event in events), strict=True)]
    varying = max(range(len(gaps)), key=lambda index: gaps[index]) if gaps else -1
    lengths = sorted(event.gaps_s[varying] for event in events) if gaps else [0.0]
    values = [sum(column) / count for column in zip(*([s.value for s in e.steps] for e in events), strict=True)]
    return Shape(
        tuple(gaps),
        varying,
        _durations_s(lengths, longest_s),
        tuple(values),
        tuple(step.ranks for step in events[0].steps),
    )


def _durations_s(lengths: Sequence[float], longest_s: float) -> tuple[float, ...]:
    """Shortest and longest and what lies between, in equal ratios; the longest is cut."""
    low, high = max(lengths[0], min(SHORTEST_S, lengths[-1]), 1.0), min(lengths[-1], max(longest_s, lengths[0]))
    if high <= FEW * low:
        return (sum(min(length, high) for length in lengths) / len(lengths),)
    steps = min(ceil(log(high / low) / log(APART)), MOST - 1)
    return tuple(low * (high / low) ** (index / steps) for index in range(steps + 1))


def script(key: Key, shape: Shape, duration_s: float, at_s: float) -> tuple[Transition, ...]:
    """The event at `at_s` on one whole replica of its pool, in the company it meets."""
    target = victim(key)
    found, now_s = list(opening(key.entry)), at_s
    gaps = [*shape.gaps_s]
    if shape.varying >= 0:
        gaps[shape.varying] = duration_s
    for index, (action, pace, _) in enumerate(key.kind):
        value = pace if action is Action.PACE else shape.values[index]
        found.append(Transition(now_s, target, action, "event", value, shape.ranks[index]))
        if index < len(gaps):
            now_s += gaps[index]
    return tuple(found)


def victim(key: Key) -> int:
    """A replica of the pool that is whole in the stratum of entry."""
    first = sum(len(pool) for pool in key.entry[: key.pool])
    return first + key.entry[key.pool].index(WHOLE)


def stages(key: Key, transitions: Sequence[Transition]) -> list[Segment]:
    """The strata that a script goes through, from its first step to its last."""
    pools = [len(pool) for pool in key.entry]
    abilities: list[Ability] = [ability for pool in key.entry for ability in pool]
    target = victim(key)
    steps = [step for step in transitions if step.cause == "event"]
    found = []
    for step, following in pairwise(steps):
        abilities[target] = abilities[target].after(step)
        if following.at_s > step.at_s:
            found.append(Segment(step.at_s, following.at_s, stratum_of(abilities, pools), ()))
    return found
