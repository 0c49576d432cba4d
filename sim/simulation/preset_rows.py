"""The rows of one workload preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.catalog.tables import Subject, subject
from sim.errors import CatalogError
from sim.scenario.workload_presets import TABLE


@dataclass(frozen=True, slots=True)
class PresetRows:
    """Rows of one subject, with words and numbers told apart.

    Parameters
    ----------
    name : subject of the table of workloads.
    """

    name: str

    @property
    def facts(self) -> Subject:
        """All rows."""
        return subject(TABLE, self.name)

    def has(self, parameter: str) -> bool:
        """Whether there is such a row."""
        return parameter in self.facts

    def number_or(self, parameter: str, default: float) -> float:
        """A number, or the default where the preset has no such row."""
        return self.number(parameter) if self.has(parameter) else default

    def whole_or_none(self, parameter: str) -> int | None:
        """A whole number, or None where the preset has no such row."""
        return int(self.number(parameter)) if self.has(parameter) else None

    def number(self, parameter: str) -> float:
        """A number.

        Raises
        ------
        CatalogError : no such row, or a word.
        """
        value = self._value(parameter)
        if isinstance(value, str):
            raise CatalogError(f"{TABLE}: {self.name}.{parameter} is {value!r}, not a number")
        return value

    def word(self, parameter: str) -> str:
        """A word.

        Raises
        ------
        CatalogError : no such row.
        """
        return str(self._value(parameter))

    def by_prefix(self, prefix: str) -> Mapping[float, float]:
        """Numbers whose parameter is the prefix and a number."""
        return {float(key.removeprefix(prefix)): self.number(key) for key in self.facts if key.startswith(prefix)}

    def _value(self, parameter: str) -> float | str:
        if parameter not in self.facts:
            raise CatalogError(f"{TABLE}: {self.name} has no {parameter}")
        return self.facts[parameter].value
