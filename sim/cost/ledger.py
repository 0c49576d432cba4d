"""The yearly ledger of one option: named lines that add up to its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from typing import Literal

from sim.cost.inputs import Input, assumed_keys, unique

Category = Literal["capital", "facility", "operations", "staff", "rental", "api"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a ledger.

    Attributes
    ----------
    name : what is paid for.
    category : group of lines in a report.
    usd_per_year : amount; negative for what comes back.
    inputs : the prices and terms that the amount was computed from.
    """

    name: str
    category: Category
    usd_per_year: float
    inputs: tuple[Input, ...]

    @property
    def assumed(self) -> bool:
        """Whether the amount depends on at least one assumed input."""
        return any(item.assumed for item in self.inputs)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Lines of one year, in the order of the report."""

    lines: tuple[Line, ...]

    @property
    def usd_per_year(self) -> float:
        """Sum of all lines."""
        return fsum(line.usd_per_year for line in self.lines)

    @property
    def usd_per_year_by_category(self) -> Mapping[Category, float]:
        """Sum of the lines of each category, in order of first use."""
        amounts: dict[Category, list[float]] = {}
        for line in self.lines:
            amounts.setdefault(line.category, []).append(line.usd_per_year)
        return {category: fsum(values) for category, values in amounts.items()}

    @property
    def usd_per_year_without_staff(self) -> float:
        """Sum of the lines other than staff."""
        return fsum(line.usd_per_year for line in self.lines if line.category != "staff")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every input used, each once."""
        return unique(item for line in self.lines for item in line.inputs)

    @property
    def assumed(self) -> tuple[str, ...]:
        """Keys of the assumed inputs used, each once."""
        return assumed_keys(self.inputs)

    def line(self, name: str) -> Line:
        """The line of that name.

        Raises
        ------
        KeyError : no such line.
        """
        return {line.name: line for line in self.lines}[name]
