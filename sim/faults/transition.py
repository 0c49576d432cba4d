"""What happens to a replica, as the clock of days tells the clock of seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What changes.

    HANG : steps stop, nothing is lost yet, and nobody has noticed: the router still sends.
    DOWN : everything here is lost, and requests are refused from now on.
    UP : takes requests again, empty, all ranks complete, at the pace of design.
    DRAIN : takes no new requests; those that are here go on.
    ADMIT : takes new requests again, with all that is here; ends DRAIN.
    PACE : engine steps take `value` times as long from the next step boundary on; 1 restores the pace of design.
    PAUSE : no step begins for `value` seconds, nothing is lost.
    SHRINK : the attention ranks `ranks` are lost with all that is on them; the others go on.
    GROW : the ranks `ranks` come back, empty.
    """

    HANG = "hang"
    DOWN = "down"
    UP = "up"
    DRAIN = "drain"
    ADMIT = "admit"
    PACE = "pace"
    PAUSE = "pause"
    SHRINK = "shrink"
    GROW = "grow"


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one replica.

    Attributes
    ----------
    at_s : when, in seconds since the start.
    replica : which one, from 0; where others decode, those that prefill come first.
    action : what changes.
    cause : name of the fault class or of the planned work behind it.
    value : seconds of a PAUSE, factor of a PACE.
    ranks : attention ranks of a SHRINK or a GROW.
    """

    at_s: float
    replica: int
    action: Action
    cause: str
    value: float = 0.0
    ranks: tuple[int, ...] = ()
