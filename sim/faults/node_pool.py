"""Which node stands where: in a replica, among the spares, under repair."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from sim.faults.agenda import Agenda
from sim.faults.board import Board
from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan
from sim.faults.node_clock import NodeClock
from sim.faults.repair_shop import RepairShop
from sim.faults.tally import Tally
from sim.streams import Streams

SPARE, AWAY = -1, -2


class NodePool:
    """Nodes, in service replica by replica from 0, spares after them, rented ones last.

    Parameters
    ----------
    rate_per_s : of all node faults together.
    due : called with a node and its period of power when the fault of its clock comes.
    refails : called with a node that was badly repaired, and the kind of its fault, when it shows again.
    spare_ready : called when a spare is there.

    Attributes
    ----------
    home, slot : replica of each node, or SPARE or AWAY; and its place among the nodes of the replica.
    free_slots : places without a node, of each replica.
    clocks : of every node.
    """

    def __init__(
        self,
        plan: FleetPlan,
        streams: Streams,
        agenda: Agenda,
        board: Board,
        tally: Tally,
        rate_per_s: float,
        due: Callable[[int, int], None],
        refails: Callable[[int, FaultClass], None],
        spare_ready: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._streams = streams
        self._agenda = agenda
        self._board = board
        self._tally = tally
        self._rate_per_s = rate_per_s
        self._due = due
        self._refails = refails
        self._spare_ready = spare_ready
        self.own = plan.in_service + plan.spares.count
        self.home = [replica for replica, count in enumerate(plan.nodes) for _ in range(count)]
        self.home += [SPARE] * plan.spares.count
        self.slot = [slot for count in plan.nodes for slot in range(count)] + [0] * plan.spares.count
        self.free_slots: list[list[int]] = [[] for _ in plan.nodes]
        self.clocks = [self._clock(node) for node in range(self.own)]
        self._period = [0] * self.own  # of power: a clock rings in vain once it is over
        self._spares = deque(range(plan.in_service, self.own))
        self._left: list[list[float]] = [[] for _ in range(self.own)] if plan.shop.lemon_faults else []
        self._last: list[FaultClass | None] = [None] * self.own
        self._rented_since: dict[int, float] = {}
        self._shop = RepairShop(plan.shop, agenda, self._back)

    def start(self) -> None:
        """Power up."""
        for node, home in enumerate(self.home):
            if home >= 0 or self._plan.spares.fail:
                self.power(node)

    def _clock(self, node: int) -> NodeClock:
        plan = self._plan
        return NodeClock(
            self._streams,
            node,
            self._rate_per_s,
            plan.frailty_shape,
            plan.early_amplitude,
            plan.early_s,
            plan.uptime_shape,
        )

    # ---- power --------------------------------------------------------------------------------------------------

    def power(self, node: int) -> None:
        """Set the clock of a node, which is powered from now on, or still."""
        agenda = self._agenda
        agenda.at(self.clocks[node].next_s(agenda.now_s), self._due, node, self._period[node])

    def rest(self, node: int) -> None:
        """Let a node be without power: it does not fail."""
        self._period[node] += 1

    def current(self, node: int, period: int) -> bool:
        """Whether a node is still in the period of power in which something was due."""
        return self._period[node] == period

    def period(self, node: int) -> int:
        """The period of power of a node."""
        return self._period[node]

    # ---- away and back ------------------------------------------------------------------------------------------

    def lose(self, node: int, kind: FaultClass, repair_s: float) -> int:
        """A node leaves for repair; returns the replica it stood in, or SPARE."""
        home = self.home[node]
        self._period[node] += 1
        self.home[node] = AWAY
        if home >= 0:
            self.free_slots[home].append(self.slot[node])
        else:
            self._spares.remove(node)
        if node >= self.own:
            self._return_rented(node)
            return home
        self._board.away(1)
        self._last[node] = kind
        if self._left and self._lemon(node):
            self._tally.replaced += 1
            self._agenda.at(self._agenda.now_s + self._plan.shop.replace_s, self._replaced, node)
        else:
            self._shop.take(node, repair_s, needs_part=kind.needs_part)
        return home

    def _lemon(self, node: int) -> bool:
        shop, now, left = self._plan.shop, self._agenda.now_s, self._left[node]
        left.append(now)
        self._left[node] = left = [at_s for at_s in left if at_s > now - shop.lemon_window_s]
        return len(left) >= shop.lemon_faults

    def _replaced(self, node: int) -> None:
        self._left[node].clear()
        self.clocks[node].install(self._agenda.now_s, self._plan.frailty_shape)
        self._last[node] = None
        self._back(node)

    def _back(self, node: int) -> None:
        self._board.away(-1)
        self.home[node] = SPARE
        self._spares.append(node)
        shop = self._plan.shop
        if self._plan.spares.fail:
            self.power(node)
        if shop.bad_repair and self._last[node] is not None and next(self.clocks[node].draws) < shop.bad_repair:
            after_s = shop.refail.draw(self.clocks[node].draws)
            self._agenda.at(self._agenda.now_s + after_s, self._refail, node, self._last[node])
        self._spare_ready()

    def _refail(self, node: int, kind: FaultClass) -> None:
        if self.home[node] != AWAY:
            self._tally.refailed += 1
            self._refails(node, kind)

    # ---- into service -------------------------------------------------------------------------------------------

    @property
    def renting(self) -> bool:
        """Whether any rented node is in service."""
        return bool(self._rented_since)

    @property
    def spares(self) -> int:
        """Spares at hand."""
        return len(self._spares)

    def place(self, replica: int) -> int | None:
        """Put a spare into a replica; returns the node, or None where there is none."""
        if not self._spares:
            return None
        node = self._spares.popleft()
        self._enter(node, replica)
        if not self._plan.spares.fail:
            self.power(node)
        return node

    def _enter(self, node: int, replica: int) -> None:
        self.home[node] = replica
        self.slot[node] = self.free_slots[replica].pop()

    def rent(self, replica: int) -> int:
        """Put a rented node into a replica; returns it."""
        node = len(self.home)
        self.home.append(AWAY)
        self.slot.append(0)
        self.clocks.append(self._clock(node))
        self._period.append(0)
        self._last.append(None)
        if self._left:
            self._left.append([])
        self._enter(node, replica)
        self._rented_since[node] = self._agenda.now_s
        self._tally.rented += 1
        self.power(node)
        return node

    def give_back(self, replica: int) -> None:
        """Exchange rented nodes of a replica that is about to restart for spares, as far as there are any."""
        for node in [node for node in self._rented_since if self.home[node] == replica]:
            if not self._spares:
                return
            self._period[node] += 1
            self.home[node] = AWAY
            self.free_slots[replica].append(self.slot[node])
            self._return_rented(node)
            self.place(replica)

    def _return_rented(self, node: int) -> None:
        self._tally.rented_s += self._agenda.now_s - self._rented_since.pop(node)

    def close(self) -> None:
        """Book rented nodes up to now."""
        for node in list(self._rented_since):
            self._return_rented(node)

    def of(self, replica: int) -> Iterator[int]:
        """Nodes of a replica."""
        return (node for node, home in enumerate(self.home) if home == replica)
