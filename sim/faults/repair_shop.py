"""Repair of nodes: parts, crews, tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sim.faults.agenda import Agenda
from sim.faults.fleet_plan import Shop


class RepairShop:
    """Nodes under repair; parts come before crews, each first come, first served.

    Parameters
    ----------
    returns : called with the node when it is back.
    """

    def __init__(self, plan: Shop, agenda: Agenda, returns: Callable[[int], None]) -> None:
        self._plan = plan
        self._agenda = agenda
        self._returns = returns
        self._parts = plan.parts
        self._free = plan.crews
        self._without_part: deque[tuple[int, float]] = deque()
        self._without_crew: deque[tuple[int, float]] = deque()

    def take(self, node: int, repair_s: float, *, needs_part: bool) -> None:
        """Repair a node."""
        if needs_part and self._parts is not None:
            self._agenda.at(self._agenda.now_s + self._plan.part_lead_s, self._delivered)  # ordered when one is used
            if self._parts == 0:
                self._without_part.append((node, repair_s))
                return
            self._parts -= 1
        self._queue(node, repair_s)

    def _delivered(self) -> None:
        assert self._parts is not None
        if self._without_part:
            self._queue(*self._without_part.popleft())
        else:
            self._parts += 1

    def _queue(self, node: int, repair_s: float) -> None:
        if self._free == 0:
            self._without_crew.append((node, repair_s))
            return
        if self._free is not None:
            self._free -= 1
        self._agenda.at(self._agenda.now_s + repair_s, self._repaired, node)

    def _repaired(self, node: int) -> None:
        if self._free is not None:
            self._free += 1
            if self._without_crew:
                self._queue(*self._without_crew.popleft())
        if self._plan.requalify_s:
            self._agenda.at(self._agenda.now_s + self._plan.requalify_s, self._returns, node)
        else:
            self._returns(node)
