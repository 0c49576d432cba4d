"""Years of events, weighted with the responses to each: annual counts of every year under every replication."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

import numpy as np

from sim.study.annual.counts import Floats
from sim.study.annual.history import Event, Segment
from sim.study.annual.shape import Key, Kind, Shape, key_of, kind_of, shapes, usual_kinds
from sim.study.annual.stratum import Stratum, whole_cluster

FIRST, FURTHER = 1, 2
Part = tuple[str, int]
"""A cause, and whether it met a whole cluster (`FIRST`) or one that had lost something already (`FURTHER`)."""

Term = tuple[Stratum] | tuple[Key, int]
"""What a weight belongs to: seconds in a stratum, or events with the response of a key at one of its durations."""

MOST_FURTHER: Final = 4  # responses simulated where something is lost already
MOST_STRATA: Final = 12


@dataclass(slots=True)
class Weights:
    """Sums over the years of what each term counts for.

    Attributes
    ----------
    years : (year) -> term -> weight of all that happens.
    parts : (cause, order) -> (year) -> term -> weight of what it adds; seconds in a stratum are weighed against the
        same seconds of a whole cluster, and belong to the year in which they begin.
    events : (cause, order) -> events, summed over all years.
    worst_hour_frac : of each year.
    replaced_events, replaced_s : events and seconds that were given the response of a more usual company, or the
        rates of a stratum at least as bad, because their own is too rare to simulate.
    """

    years: list[dict[Term, float]]
    parts: dict[Part, list[dict[Term, float]]] = field(default_factory=dict)
    events: dict[Part, int] = field(default_factory=lambda: defaultdict(int))
    replaced_events: int = 0
    replaced_s: float = 0.0

    def of(self, part: Part) -> list[dict[Term, float]]:
        """Weights of a part, year by year."""
        if part not in self.parts:
            self.parts[part] = [defaultdict(float) for _ in self.years]
        return self.parts[part]


@dataclass(frozen=True, slots=True)
class Placing:
    """Which responses stand for an event.

    Attributes
    ----------
    kinds : for every kind, the one whose response it has.
    shapes : of these.
    keys : whose responses are simulated.
    """

    kinds: Mapping[Kind, Kind]
    shapes: Mapping[Kind, Shape]
    keys: tuple[Key, ...]

    @classmethod
    def of(cls, events: Sequence[Event], longest_s: float) -> Placing:
        """Common kinds in a whole cluster, and with the commonest other companies."""
        kinds = usual_kinds(events)
        counts: dict[Key, int] = defaultdict(int)
        for event in events:
            counts[replace(key_of(event), kind=kinds[kind_of(event)])] += 1
        ranked = sorted(counts, key=lambda key: -counts[key])
        further = [key for key in ranked if key != alone(key)][:MOST_FURTHER]
        keys = tuple(dict.fromkeys([*(alone(key) for key in ranked), *further]))
        return cls(kinds, shapes(events, longest_s, set(kinds.values())), keys)

    def place(self, event: Event) -> tuple[Key, tuple[tuple[int, float], ...], bool]:
        """Key, durations with their weights, and whether the response is not quite its own."""
        own = key_of(event)
        key = replace(own, kind=self.kinds[own.kind])
        if key not in self.keys:
            key = alone(key)
        return key, split(self.shapes[key.kind], event), key != own


def alone(key: Key) -> Key:
    """The same kind of event in a whole cluster."""
    return Key(key.kind, key.pool, whole_cluster([len(pool) for pool in key.entry]))


def usual_strata(segments: Iterable[Segment], ranks: Sequence[int], most: int = MOST_STRATA) -> dict[Stratum, Stratum]:
    """For every stratum visited, the one whose rates it has: itself, if it is among those longest visited.

    A rare one has the rates of the least bad kept one that has lost as much capacity in every pool; if there is none,
    it is kept.
    """
    seconds: dict[Stratum, float] = defaultdict(float)
    for segment in segments:
        seconds[segment.stratum] += segment.end_s - segment.begin_s
    ranked = sorted(seconds, key=lambda stratum: -seconds[stratum])
    kept = ranked[:most]
    found = {stratum: stratum for stratum in kept}
    for stratum in ranked[most:]:
        worse = [other for other in kept if _as_bad(other, stratum, ranks)]
        if worse:
            found[stratum] = min(worse, key=lambda other: sum(lost(other, ranks)))
        else:
            kept.append(stratum)
            found[stratum] = stratum
    return found


def lost(stratum: Stratum, ranks: Sequence[int]) -> list[float]:
    """Replicas lost in each pool, in parts of replicas; `ranks` a replica of each pool has."""
    return [sum(ability.lost_frac(size) for ability in pool) for pool, size in zip(stratum, ranks, strict=True)]


def _as_bad(other: Stratum, stratum: Stratum, ranks: Sequence[int]) -> bool:
    return all(a >= b - 1e-12 for a, b in zip(lost(other, ranks), lost(stratum, ranks), strict=True))


def weigh(
    segments: Sequence[Segment],
    events: Sequence[Event],
    years: int,
    year_s: float,
    placing: Placing,
    strata: Mapping[Stratum, Stratum],
) -> Weights:
    """Weights of all terms in each of the years that follow each other."""
    found = Weights([defaultdict(float) for _ in range(years)])
    for segment in segments:
        _weigh_segment(found, segment, year_s, strata)
    for event in events:
        year = min(int(event.at_s / year_s), years - 1)
        key, parts, replaced = placing.place(event)
        found.replaced_events += replaced
        part = (event.cause, FIRST if event.entry == alone(key).entry else FURTHER)
        found.events[part] += 1
        for index, weight in parts:
            found.years[year][key, index] += weight
            found.of(part)[year][key, index] += weight
    return found


def split(shape: Shape, event: Event) -> tuple[tuple[int, float], ...]:
    """Simulated durations that stand for one event, with weights that add up to one.

    Between two of them it is linear; beyond the ends it is the end's: what an event adds to its strata does not grow
    once they are steady.
    """
    duration_s, grid = shape.duration_s(event), shape.durations_s
    for index, (low, high) in enumerate(pairwise(grid)):
        if low <= duration_s < high:
            share = (duration_s - low) / (high - low)
            return (index, 1.0 - share), (index + 1, share)
    return ((0 if duration_s < grid[0] else len(grid) - 1, 1.0),)


def _weigh_segment(found: Weights, segment: Segment, year_s: float, strata: Mapping[Stratum, Stratum]) -> None:
    stratum = strata[segment.stratum]
    if stratum != segment.stratum:
        found.replaced_s += segment.end_s - segment.begin_s
    whole = whole_cluster([len(pool) for pool in stratum])
    begin_s = segment.begin_s
    first = min(int(begin_s / year_s + 1e-12), len(found.years) - 1)
    while begin_s < segment.end_s - 1e-9:
        year = min(int(begin_s / year_s + 1e-12), len(found.years) - 1)
        end_s = segment.end_s if year == len(found.years) - 1 else min(segment.end_s, (year + 1) * year_s)
        found.years[year][(stratum,)] += end_s - begin_s
        begin_s = end_s
    if stratum == whole:
        return
    seconds = segment.end_s - segment.begin_s
    causes = segment.causes or ("",)
    for cause in causes:
        row = found.of((cause, FIRST if len(causes) == 1 else FURTHER))[first]
        row[(stratum,)] += seconds / len(causes)
        row[(whole,)] -= seconds / len(causes)


def product(weights: Sequence[Mapping[Term, float]], values: Mapping[Term, Floats]) -> Floats:
    """(rows of weights, replications, metrics): sum over terms of weight x value."""
    terms = list(values)
    matrix = np.array([[row.get(term, 0.0) for term in terms] for row in weights])
    stacked = np.array([values[term] for term in terms])  # (terms, replications, metrics)
    found: Floats = np.tensordot(matrix, stacked, axes=1)
    return found
