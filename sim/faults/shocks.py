"""Shocks that take several nodes of one rack or power domain at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

from sim.faults.agenda import Agenda
from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan
from sim.faults.node_clock import exponential_s, uniforms
from sim.faults.node_pool import AWAY, NodePool
from sim.faults.tally import Tally
from sim.streams import Streams


class Shocks:
    """Shocks of all racks, each with a stream of its own.

    Every node hit has a fault that takes it away, of a class by the rates of the classes that do.

    Parameters
    ----------
    strike : called with a node and the class of its fault.
    """

    def __init__(
        self,
        plan: FleetPlan,
        streams: Streams,
        agenda: Agenda,
        pool: NodePool,
        tally: Tally,
        strike: Callable[[int, FaultClass], None],
    ) -> None:
        self._plan = plan.common
        self._streams = streams
        self._agenda = agenda
        self._pool = pool
        self._tally = tally
        self._strike = strike
        self._kinds = [kind for kind in plan.node_classes if kind.leaves]
        self._edges = list(accumulate(kind.rate_per_s for kind in self._kinds))

    def start(self) -> None:
        """Set the clock of every rack."""
        size, nodes = self._plan.rack_nodes, range(self._pool.own)
        for rack, first in enumerate(nodes[::size]):
            self._arm(nodes[first : first + size], uniforms(self._streams.generator(f"rack/{rack}")))

    def _arm(self, nodes: range, draws: Iterator[float]) -> None:
        after_s = exponential_s(next(draws), self._plan.shock_per_s)
        self._agenda.at(self._agenda.now_s + after_s, self._shock, nodes, draws)

    def _shock(self, nodes: range, draws: Iterator[float]) -> None:
        self._tally.shocks += 1
        left, edges = list(nodes), self._edges
        for _ in range(min(self._plan.shock_nodes, len(left))):
            node = left.pop(int(next(draws) * len(left)))
            kind = self._kinds[min(bisect_right(edges, next(draws) * edges[-1]), len(edges) - 1)]
            if self._pool.home[node] != AWAY:
                self._tally.faults[kind.name] += 1
                self._tally.hands_on_s += kind.hands_on_s
                self._strike(node, kind)
        self._arm(nodes, draws)
