"""Kinds of faults: how often, what they do to a replica, what has to be repaired."""

from __future__ import annotations

from dataclasses import dataclass

from sim.faults.phases import Phases


@dataclass(frozen=True, slots=True)
class FaultClass:
    """One kind of fault.

    Attributes
    ----------
    name : as in the catalog.
    rate_per_s : of one node, or of one replica where the plan says so.
    repair : how long the node is away after detection; None where the engine alone must restart.
    hang_frac : share that is not seen at once: the engine hangs until a timeout.
    hands_on_s : work of a person per event.
    needs_part : whether repair waits for a part from stock.
    slow_s, pace : first the replica runs on for `slow_s`, its steps `pace` times as long; then comes what follows.
    hidden : how long the fault stays unnoticed while the replica serves wrong tokens; None where it shows.
    """

    name: str
    rate_per_s: float
    repair: Phases | None = None
    hang_frac: float = 0.0
    hands_on_s: float = 0.0
    needs_part: bool = False
    slow_s: Phases | None = None
    pace: float = 1.0
    hidden: Phases | None = None

    @property
    def leaves(self) -> bool:
        """Whether the node leaves the pool."""
        return self.repair is not None
