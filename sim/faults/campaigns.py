"""Planned work going through the replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sim.faults.agenda import Agenda
from sim.faults.board import Board
from sim.faults.fleet_plan import FleetPlan
from sim.faults.operation import Operation, Strategy
from sim.faults.tally import DRAINING, SERVES, Tally
from sim.faults.transition import Action

IN_PLACE, BLUE_GREEN, CANARY, DRAIN = Strategy.IN_PLACE, Strategy.BLUE_GREEN, Strategy.CANARY, Action.DRAIN


class Stop(Protocol):
    """Takes a replica out of service for planned work."""

    def __call__(self, replica: int, cause: str, work_s: float, *, cold: bool) -> None:
        """Do so now."""


class Campaigns:
    """All planned work; a replica that is down when its turn comes is passed over, since it returns renewed.

    Parameters
    ----------
    recoveries : how often a replica has begun to recover so far; while that stays the same, no fault has struck it.
    """

    def __init__(
        self, plan: FleetPlan, agenda: Agenda, board: Board, tally: Tally, stop: Stop, recoveries: Callable[[int], int]
    ) -> None:
        self._plan = plan
        self._agenda = agenda
        self._board = board
        self._tally = tally
        self._stop = stop
        self._recoveries = recoveries
        self._following: dict[int, Operation] = {}
        self._running: set[str] = set()
        self._held: list[tuple[Operation, int]] = []
        board.when_complete = self._resume

    def start(self) -> None:
        """Enter the first of each."""
        for operation in self._plan.operations:
            self._agenda.at(operation.opens(operation.first_s), self._begin, operation)

    def up(self, replica: int) -> None:
        """A replica is back: if its campaign waited for that, it goes on."""
        operation = self._following.pop(replica, None)
        if operation is not None:
            soak_s = operation.soak_s if operation.strategy is CANARY and replica == 0 else 0.0
            at_s = operation.opens(self._agenda.now_s + soak_s)
            if at_s > self._agenda.now_s:
                self._agenda.at(at_s, self._turn, operation, replica + 1)
            else:
                self._turn(operation, replica + 1)

    def _resume(self) -> None:
        """All replicas are complete again: what waited for that goes on, after the campaign that was under way.

        So work that falls on the same replica at once stays one stop, that of the longer work.
        """
        if self._held:
            self._agenda.at(self._agenda.now_s, self._release)

    def _release(self) -> None:
        held, self._held = self._held, []
        for operation, replica in held:
            self._agenda.at(operation.opens(self._agenda.now_s), self._turn, operation, replica)

    def _begin(self, operation: Operation) -> None:
        agenda, count = self._agenda, len(self._plan.nodes)
        agenda.at(operation.opens(agenda.now_s + operation.interval_s), self._begin, operation)
        if operation.strategy is BLUE_GREEN:
            restart_s = self._plan.recovery.restart_s
            cold_s = self._plan.recovery.cold_s if operation.cold else 0.0
            for replica, nodes in enumerate(self._plan.nodes):
                self._tally.doubled_s += nodes * (restart_s[replica] + cold_s + operation.drain_s)
            self._tally.planned[operation.name] += count
        elif operation.name not in self._running:
            self._running.add(operation.name)
            self._turn(operation, 0)

    def _turn(self, operation: Operation, replica: int) -> None:
        """One replica, if it serves."""
        agenda, board = self._agenda, self._board
        if replica == len(self._plan.nodes):
            self._running.discard(operation.name)
            return
        if not SERVES[board.state[replica]]:
            agenda.at(operation.opens(agenda.now_s), self._turn, operation, replica + 1)
            return
        if operation.wait_for_all and board.complete < len(self._plan.nodes):
            self._held.append((operation, replica))
            return
        self._tally.planned[operation.name] += 1
        if operation.strategy is IN_PLACE:
            board.pause(replica, operation.name, operation.pause_s)
            agenda.at(operation.opens(agenda.now_s + operation.pause_s), self._turn, operation, replica + 1)
            return
        self._following[replica] = operation
        if operation.drain_s == 0.0:
            self._stop(replica, operation.name, operation.work_s, cold=operation.cold)
            return
        board.move(replica, DRAINING, operation.name)
        board.tell(replica, DRAIN, operation.name)
        agenda.at(agenda.now_s + operation.drain_s, self._drained, operation, replica, self._recoveries(replica))

    def _drained(self, operation: Operation, replica: int, recoveries: int) -> None:
        if self._recoveries(replica) == recoveries:
            self._stop(replica, operation.name, operation.work_s, cold=operation.cold)
