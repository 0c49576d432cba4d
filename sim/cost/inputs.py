"""The numbers that a cost depends on, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sim.catalog.tables import Fact, fact, number

PRICES: Final = "prices"


@dataclass(frozen=True, slots=True)
class Input:
    """One number and its provenance.

    Attributes
    ----------
    key : `prices.subject.parameter` for a number of the catalog, `pricing.key` for one that the user gave.
    value, unit : the number.
    fact : the row of the catalog; None for a number that the user gave.
    """

    key: str
    value: float
    unit: str
    fact: Fact | None = None

    @property
    def assumed(self) -> bool:
        """Whether it is a default without a source that could be cited for it."""
        return self.fact is not None and self.fact.status == "assumed"


def catalog_input(subject: str, parameter: str, table: str = PRICES) -> Input:
    """A number of the catalog.

    Raises
    ------
    CatalogError : no such row, or it holds a word.
    """
    row = fact(table, subject, parameter)
    return Input(f"{table}.{subject}.{parameter}", number(table, subject, parameter), row.unit, row)


def unique(inputs: Iterable[Input]) -> tuple[Input, ...]:
    """The inputs, each key once, in order of first use."""
    return tuple({item.key: item for item in inputs}.values())


def assumed_keys(inputs: Iterable[Input]) -> tuple[str, ...]:
    """Keys of the inputs that are assumed, each once, in order of first use."""
    return tuple(item.key for item in unique(inputs) if item.assumed)
