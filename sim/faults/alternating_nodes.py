"""Replicas on nodes that fail and are repaired independently: the fleet that the closed forms describe.

It is a fleet on the clock of days without lemons, shocks, bad repairs or planned work: every node, hot spares included,
fails at the same rate and has a crew of its own. It stands here so that paths to a service can be compared with theory,
and is no substitute for a fleet's history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan, Recovery, Spares
from sim.faults.outages import Outages
from sim.faults.phases import Phases
from sim.faults.timeline import Timeline
from sim.faults.transition import Action, Transition
from sim.streams import Streams
from sim.units import HOUR_S

WARM_UP: Final = 10.0  # times the longest phase of repair, and the start is forgotten but for exp(-10)
ROUNDING: Final = 1e-9
SHORT, RESTART = "short of nodes", "restart"


@dataclass(frozen=True, slots=True)
class AlternatingNodes:
    """Replicas of whole nodes and spares.

    Attributes
    ----------
    replicas, nodes_per_replica, spares : the pool has replicas x nodes_per_replica + spares nodes.
    mtbf_h : mean time to failure of a node, exponential.
    repair : law of its repair.
    restart_s : of a replica after a fault of one of its nodes, once it has all nodes again.
    load_frac : share of the capacity of all replicas that the load needs; with less than one, fewer replicas may do.
    """

    replicas: int
    nodes_per_replica: int
    spares: int
    mtbf_h: float
    repair: Phases
    restart_s: float
    load_frac: float = 1.0

    @property
    def nodes(self) -> int:
        """All nodes."""
        return self.needed + self.spares

    @property
    def needed(self) -> int:
        """Nodes of all replicas."""
        return self.replicas * self.nodes_per_replica

    def failing(self, replicas: float) -> float:
        """Share of requests that fail with so many replicas."""
        return max(0.0, 1.0 - replicas / (self.replicas * self.load_frac))

    def plan(self) -> FleetPlan:
        """The fleet on the clock of days."""
        return FleetPlan(
            nodes=(self.nodes_per_replica,) * self.replicas,
            recovery=Recovery(0.0, 0.0, (self.restart_s,) * self.replicas),
            node_classes=(FaultClass("fault", 1.0 / (self.mtbf_h * HOUR_S), self.repair),),
            spares=Spares(self.spares),
        )

    def outages(self, horizon_h: float, streams: Streams, name: str) -> list[Outages]:
        """Time with too few nodes, and restarts; the latter act on the replicas that are left.

        Parameters
        ----------
        name : of the part of the random streams; under the same name a larger pool has the nodes of a smaller one, with
            the same faults and repairs, and more.
        """
        line = Timeline(self.plan(), streams.part(name), record=True)
        warmup_h = WARM_UP * max(self.repair.means_s) / HOUR_S
        line.run((warmup_h + horizon_h) * HOUR_S + self.restart_s)
        changes = sorted(
            (min(max(at_s / HOUR_S - warmup_h, 0.0), horizon_h), waits, restarts)
            for at_s, waits, restarts in self._changes(line.transitions)
        )
        waiting = restarting = 0
        at_h = 0.0
        short: list[tuple[float, float, float]] = []
        restart: list[tuple[float, float, float]] = []
        for moment_h, waits, restarts in [*changes, (horizon_h, 0, 0)]:
            if moment_h > at_h:
                left = self.failing(self.replicas - waiting)
                if waiting:
                    short.append((at_h, moment_h, left))
                if restarting and left < 1.0:
                    lost = 1.0 - (1.0 - self.failing(self.replicas - waiting - restarting)) / (1.0 - left)
                    restart.append((at_h, moment_h, lost))
                at_h = moment_h
            waiting, restarting = waiting + waits, restarting + restarts
        return [Outages.of(SHORT, short), Outages.of(RESTART, restart)]

    def _changes(self, transitions: tuple[Transition, ...]) -> Iterator[tuple[float, int, int]]:
        """(moment, change of the replicas that wait for nodes, of those that restart) of each outage."""
        down_s: dict[int, float] = {}
        for step in transitions:
            if step.action is Action.DOWN:
                down_s[step.replica] = step.at_s
                continue
            since_s = down_s.pop(step.replica)
            ready_s = step.at_s - self.restart_s
            if ready_s > since_s * (1.0 + ROUNDING):
                yield since_s, 1, 0
                yield ready_s, -1, 1
            else:
                yield since_s, 0, 1
            yield step.at_s, 0, -1
        for since_s in down_s.values():
            yield since_s, 1, 0
