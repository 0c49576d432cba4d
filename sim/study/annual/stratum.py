"""What each replica is able to do, and the cluster as a whole up to what is symmetric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sim.faults.transition import Action, Transition


@dataclass(frozen=True, slots=True, order=True)
class Ability:
    """What a replica is able to do.

    Attributes
    ----------
    up : whether it computes anything; one that hangs does not.
    pace : its steps take so many times as long.
    missing : attention ranks it lacks.
    """

    up: bool = True
    pace: float = 1.0
    missing: int = 0

    @property
    def whole(self) -> bool:
        """Whether it is as designed."""
        return self == WHOLE

    def after(self, transition: Transition) -> Ability:
        """The ability once a transition has happened; pauses and drains change what is here, not what it can do."""
        match transition.action:
            case Action.HANG | Action.DOWN:
                return LOST
            case Action.UP:
                return WHOLE
            case Action.PACE:
                return replace(self, pace=transition.value)
            case Action.SHRINK:
                return replace(self, missing=self.missing + len(transition.ranks))
            case Action.GROW:
                return replace(self, missing=self.missing - len(transition.ranks))
            case Action.DRAIN | Action.ADMIT | Action.PAUSE:
                return self

    def lost_frac(self, ranks: int) -> float:
        """Share of a replica's capacity that is gone, where `ranks` are complete."""
        return 1.0 - (1.0 - self.missing / ranks) / self.pace if self.up else 1.0


WHOLE = Ability()
LOST = Ability(up=False)

Stratum = tuple[tuple[Ability, ...], ...]
"""Abilities of all replicas, pool by pool, those of a pool in order: replicas of one pool are alike."""


def stratum_of(abilities: Sequence[Ability], pools: Sequence[int]) -> Stratum:
    """Which replica it is does not matter, only how many of its pool can do what.

    Parameters
    ----------
    pools : replicas of each pool; (replicas,) where all do the same.
    """
    found, first = [], 0
    for size in pools:
        found.append(tuple(sorted(abilities[first : first + size])))
        first += size
    return tuple(found)


def whole_cluster(pools: Sequence[int]) -> Stratum:
    """Nothing is wrong."""
    return tuple((WHOLE,) * size for size in pools)


def serves(stratum: Stratum) -> bool:
    """Whether anybody does, in every pool."""
    return all(any(ability.up for ability in pool) for pool in stratum)


def opening(stratum: Stratum) -> tuple[Transition, ...]:
    """What to do to a whole cluster at time zero to have this stratum."""
    abilities = [ability for pool in stratum for ability in pool]
    found = []
    for replica, ability in enumerate(abilities):
        if not ability.up:
            found.append(Transition(0.0, replica, Action.DOWN, "before"))
            continue
        if ability.missing:
            found.append(Transition(0.0, replica, Action.SHRINK, "before", ranks=tuple(range(ability.missing))))
        if ability.pace != 1.0:
            found.append(Transition(0.0, replica, Action.PACE, "before", ability.pace))
    return tuple(found)


def words(stratum: Stratum) -> str:
    """Such as `1 of 2 up` or `2 of 2 up, 1 at 1.3 x step time`."""
    parts = []
    for pool in stratum:
        text = f"{sum(ability.up for ability in pool)} of {len(pool)} up"
        slow = sorted({ability.pace for ability in pool if ability.up and ability.pace != 1.0})
        text += "".join(f", {sum(c.pace == pace for c in pool)} at {pace:g} x step time" for pace in slow)
        missing = [ability.missing for ability in pool if ability.up and ability.missing]
        text += "".join(f", one without {ranks} ranks" for ranks in missing)
        parts.append(text)
    return " / ".join(parts)
