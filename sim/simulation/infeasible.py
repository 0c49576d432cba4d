"""A scenario that is well formed but cannot work: a named result, not an error."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

Kind = Literal[
    "does_not_fit", "does_not_start", "no_room_for_requests", "request_too_long", "over_capacity", "empty_workload"
]


@dataclass(frozen=True, slots=True)
class Infeasible:
    """Why a scenario cannot work, and the smallest thing that would.

    Attributes
    ----------
    kind : one of the named reasons.
    problem : what is wrong, in one sentence with the numbers.
    smallest : the smallest change that would work, in one sentence.
    numbers : the figures behind both, with units in their names.
    """

    kind: Kind
    problem: str
    smallest: str
    numbers: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Plain form for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.problem} {self.smallest}"
