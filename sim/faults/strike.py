"""One fault, and what it met."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault of a node or of an engine.

    Attributes
    ----------
    at_s : when, in seconds since the start.
    cause : name of its class.
    node : which one; None for a fault of an engine.
    replica : the one that it met; None where the node stood in none, as a spare or under repair.
    injected : whether it was injected on purpose.
    """

    at_s: float
    cause: str
    node: int | None
    replica: int | None
    injected: bool = False
