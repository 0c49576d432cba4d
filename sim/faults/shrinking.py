"""Elastic expert parallelism: a replica goes on without the ranks that a fault took, and takes them back later."""

from __future__ import annotations

from collections import deque

from sim.faults.agenda import Agenda
from sim.faults.board import Board
from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import Elastic, FleetPlan
from sim.faults.node_pool import NodePool
from sim.faults.tally import DEGRADED, UP
from sim.faults.transition import Action


class Shrinking:
    """What elastic replicas do about faults.

    A node that fails takes all its ranks, also where one GPU is at fault, since it leaves for repair; a fault that
    only the process feels takes one rank, which is back after a restart of its own. A node that comes in its place
    loads its weights for as long as a restart takes, while the others serve.
    """

    def __init__(self, plan: FleetPlan, elastic: Elastic, agenda: Agenda, board: Board, pool: NodePool) -> None:
        self._plan = plan
        self._elastic = elastic
        self._agenda = agenda
        self._board = board
        self._pool = pool
        self._lost: list[set[int]] = [set() for _ in plan.nodes]
        self._turn = [[0] * nodes for nodes in plan.nodes]  # of each place: what it waited for before is void
        self._waiting: deque[tuple[int, str]] = deque()

    def start(self) -> None:
        """The price of it, from the beginning."""
        if self._elastic.overhead_frac:
            for replica in range(len(self._lost)):
                self._board.tell(replica, Action.PACE, "elastic", 1.0 + self._elastic.overhead_frac)

    def absorbs(self, replica: int, kind: FaultClass, slot: int) -> bool:
        """Whether a replica that serves goes on after a fault; if so it does."""
        each, lost = self._elastic.ranks_per_node, self._lost[replica]
        if slot < 0:
            return False  # the engine as a whole
        ranks = range(slot * each, (slot + 1) * each)
        gone = tuple(rank for rank in ranks if rank not in lost)
        if not kind.leaves:
            gone = gone[:1]
        if len(lost) + len(gone) > self._elastic.max_failed_ranks:
            return False
        if kind.leaves:
            self._turn[replica][slot] += 1
        if gone:
            lost.update(gone)
            self._serve(replica, kind.name)
            self._board.pause(replica, kind.name, self._elastic.pause_fail_s)
            self._board.tell(replica, Action.SHRINK, kind.name, ranks=gone)
        if kind.leaves:
            if not self._fill(replica, kind.name):
                self._waiting.append((replica, kind.name))
        elif gone:
            self._rejoin_later(replica, slot, kind.name, gone)
        return True

    def spare_ready(self) -> None:
        """A node is at hand."""
        while self._waiting and self._pool.spares:
            replica, cause = self._waiting.popleft()
            if not self._fill(replica, cause):
                self._waiting.appendleft((replica, cause))

    def forget(self, replica: int) -> None:
        """A replica is down as a whole, and will come back complete."""
        self._turn[replica] = [turn + 1 for turn in self._turn[replica]]
        self._lost[replica].clear()
        self._waiting = deque(entry for entry in self._waiting if entry[0] != replica)

    def _fill(self, replica: int, cause: str) -> bool:
        node = self._pool.place(replica)
        if node is None:
            return False
        each, slot = self._elastic.ranks_per_node, self._pool.slot[node]
        self._rejoin_later(replica, slot, cause, tuple(range(slot * each, (slot + 1) * each)))
        return True

    def _rejoin_later(self, replica: int, slot: int, cause: str, ranks: tuple[int, ...]) -> None:
        at_s = self._agenda.now_s + self._plan.recovery.restart_s[replica]
        self._agenda.at(at_s, self._rejoin, replica, slot, self._turn[replica][slot], cause, ranks)

    def _rejoin(self, replica: int, slot: int, turn: int, cause: str, ranks: tuple[int, ...]) -> None:
        ranks = tuple(rank for rank in ranks if rank in self._lost[replica])
        if self._turn[replica][slot] != turn or not ranks:
            return
        self._lost[replica].difference_update(ranks)
        self._serve(replica, cause)
        self._board.pause(replica, cause, self._elastic.pause_rejoin_s)
        self._board.tell(replica, Action.GROW, cause, ranks=ranks)

    def _serve(self, replica: int, cause: str) -> None:
        lost, total = len(self._lost[replica]), self._plan.nodes[replica] * self._elastic.ranks_per_node
        state = DEGRADED if lost else UP
        self._board.move(replica, state, cause, 1.0 - lost / total)
