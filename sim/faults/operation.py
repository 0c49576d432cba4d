"""Planned work on replicas, and when it may begin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sim.units import DAY_S, HOUR_S

WEEK_S = 7 * DAY_S


class Strategy(StrEnum):
    """How work goes through the replicas.

    ROLLING : one after the other is drained, stopped and started again.
    IN_PLACE : one after the other pauses while weights are swapped; same shapes and formats only.
    BLUE_GREEN : new replicas start beside the old ones, which are then given up; needs as many nodes again meanwhile.
    CANARY : as ROLLING, but the first replica is watched before the others follow.
    """

    ROLLING = "rolling"
    IN_PLACE = "in_place"
    BLUE_GREEN = "blue_green"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Window:
    """When work may begin: on some days of the week, from one hour to another; the run begins on a Monday at 0 h.

    Attributes
    ----------
    days : 0 for Monday to 6 for Sunday.
    from_s, to_s : seconds of the day.
    """

    days: tuple[int, ...]
    from_s: float
    to_s: float

    def opens(self, at_s: float) -> float:
        """The first moment from `at_s` on that lies within."""
        for ahead in range(8):
            day = int(at_s // DAY_S) + ahead
            start_s = max(at_s, day * DAY_S + self.from_s)
            if day % 7 in self.days and start_s < day * DAY_S + self.to_s:
                return start_s
        raise ValueError("a window without a day")


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of planned work.

    Attributes
    ----------
    name : as in the scenario.
    strategy : see `Strategy`.
    first_s, interval_s : when it first begins, and from one beginning to the next.
    drain_s : no new requests for so long before a replica stops.
    work_s : what is done while it is stopped, beside the restart.
    cold : whether kernels must be compiled again.
    pause_s : of an exchange of weights in place.
    soak_s : between the first replica and the second under CANARY.
    wait_for_all : whether a replica is taken only while all serve, itself included, with all of their ranks.
    retry_s : how long to wait then.
    window : when a replica may be taken; None for always.
    """

    name: str
    strategy: Strategy
    first_s: float
    interval_s: float
    drain_s: float = 0.0
    work_s: float = 0.0
    cold: bool = False
    pause_s: float = 0.0
    soak_s: float = 0.0
    wait_for_all: bool = True
    retry_s: float = 0.25 * HOUR_S
    window: Window | None = None

    def opens(self, at_s: float) -> float:
        """The first moment from `at_s` on at which a replica may be taken."""
        return at_s if self.window is None else self.window.opens(at_s)
