"""Inputs of a result that nobody has measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sim.catalog.tables import Fact


@dataclass(frozen=True, slots=True)
class AssumedInput:
    """One catalog row with status `assumed` on which a result depends.

    Attributes
    ----------
    name : table, subject and parameter, as `prices: h100-sxm-80gb.on_demand`.
    value, unit, low, high : as in the catalog.
    source : what the assumption rests on.
    """

    name: str
    value: float | str
    unit: str
    low: float | None
    high: float | None
    source: str

    @classmethod
    def of(cls, name: str, fact: Fact) -> AssumedInput:
        """The assumed input for one fact."""
        return cls(name, fact.value, fact.unit, fact.low, fact.high, fact.source)

    def as_dict(self) -> dict[str, object]:
        """Plain form for JSON."""
        return asdict(self)


def assumed_only(facts: Iterable[tuple[str, Fact]]) -> tuple[AssumedInput, ...]:
    """Of named facts, those that are assumed; each once, in order."""
    found = {name: AssumedInput.of(name, fact) for name, fact in facts if fact.status == "assumed"}
    return tuple(found.values())
