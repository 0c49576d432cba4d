"""Counters since the start of a run, and those of a window of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self


@dataclass(slots=True)
class Counters:
    """Base of dataclasses whose fields are all running sums."""

    def copy(self) -> Self:
        """A frozen-in-time copy."""
        return type(self)(*(getattr(self, field.name) for field in fields(self)))

    def since(self, earlier: Self) -> Self:
        """Counters of the window that began at `earlier`."""
        return type(self)(*(getattr(self, field.name) - getattr(earlier, field.name) for field in fields(self)))
