"""Nodes: in service, failed, under repair, spare.

A fault takes its whole replica, and a complete set of nodes brings it back. A node that fails in service goes to
repair and returns as a spare. Its replica is lost at once, waits for detection, then for enough nodes (spares first
come, first served), then restarts. Nodes of a replica that is down may fail too; spares do not fail while they wait.
Each node draws its times to fault and its repairs from a stream of its own, so a fleet of another size sees the same
faults on the same nodes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence

import numpy as np
from simpy import Environment, Event, Resource

from sim.engine.conditions import Conditions
from sim.engine.plan import FaultPlan
from sim.engine.recorder import Recorder
from sim.engine.replica import Replica
from sim.faults.phases import Phases
from sim.faults.transition import Action, Transition
from sim.streams import Streams

CAUSE = "node_fault"
Process = Generator[Event, object, None]


class Fleet:
    """The nodes of all replicas, and the spares.

    Parameters
    ----------
    nodes, restart_s : nodes of each replica, and what it needs from a complete set of them to its first request.

    Attributes
    ----------
    idle_hits : injected faults that met a node not in service.
    """

    def __init__(
        self,
        env: Environment,
        plan: FaultPlan,
        replicas: Sequence[Replica],
        conditions: Conditions,
        nodes: Sequence[int],
        restart_s: Sequence[float],
        spare_nodes: int,
        streams: Streams,
        record: Recorder,
    ) -> None:
        self._env = env
        self._plan = plan
        self._replicas = list(replicas)
        self._streams = streams
        self._record = record
        self._conditions = conditions
        in_service = sum(nodes)
        self._restart_s = restart_s
        self._replica_of: list[int | None] = [index for index, count in enumerate(nodes) for _ in range(count)]
        self._replica_of += [None] * spare_nodes
        self._spares = deque(range(in_service, in_service + spare_nodes))
        self._waiters: deque[Event] = deque()
        self._missing = [0] * len(self._replicas)
        self._recovery = [0] * len(self._replicas)
        self._service = [0] * (in_service + spare_nodes)
        self._rngs: dict[int, np.random.Generator] = {}
        self.idle_hits = 0
        self._crews = None if plan.repair_crews is None else Resource(env, plan.repair_crews)

    def start(self) -> None:
        """Start the clocks of all nodes in service, and the injected faults. Without faults nothing is scheduled."""
        if not self._plan.active:
            return
        for node, replica in enumerate(self._replica_of):
            if replica is not None:
                self._serve(node)
        for at_s, node in self._plan.scheduled:
            self._env.process(self._inject(at_s, node))

    def _rng(self, node: int) -> np.random.Generator:
        if node not in self._rngs:
            self._rngs[node] = self._streams.generator(f"node/{node}")
        return self._rngs[node]

    def _serve(self, node: int) -> None:
        self._service[node] += 1
        if self._plan.rate_per_s > 0.0:
            after_s = float(self._rng(node).exponential(1.0 / self._plan.rate_per_s))
            self._env.process(self._fault(node, self._service[node], after_s))

    def _fault(self, node: int, service: int, after_s: float) -> Process:
        yield self._env.timeout(after_s)
        if self._service[node] == service and self._replica_of[node] is not None:
            self._fail(node)

    def _inject(self, at_s: float, node: int) -> Process:
        yield self._env.timeout(at_s)
        if self._replica_of[node] is None:
            self.idle_hits += 1
        else:
            self._fail(node)

    def _fail(self, node: int) -> None:
        index = self._replica_of[node]
        assert index is not None
        replica = self._replicas[index]
        self._record.totals.node_faults += 1
        self._replica_of[node] = None
        self._service[node] += 1
        self._missing[index] += 1
        self._recovery[index] += 1
        if replica.up:
            self._conditions.apply([Transition(self._env.now, index, Action.DOWN, CAUSE)])
        self._env.process(self._repair(node))
        self._env.process(self._recover(index, self._recovery[index]))

    def _repair(self, node: int) -> Process:
        repair_s = draw_repair_s(self._plan.repair, self._rng(node))
        if self._crews is None:
            yield self._env.timeout(repair_s)
        else:
            with self._crews.request() as crew:
                yield crew
                yield self._env.timeout(repair_s)
        self._spares.append(node)
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            waiter.succeed()

    def _recover(self, index: int, recovery: int) -> Process:
        """Bring a replica back; a later fault of the same replica makes this recovery void."""
        yield self._env.timeout(self._plan.detect_s)
        while self._recovery[index] == recovery and self._missing[index]:
            if self._spares:
                node = self._spares.popleft()
                self._replica_of[node] = index
                self._missing[index] -= 1
                self._serve(node)
            else:
                waiter = self._env.event()
                self._waiters.append(waiter)
                yield waiter
        if self._recovery[index] != recovery:
            return
        yield self._env.timeout(self._restart_s[index])
        if self._recovery[index] == recovery and not self._replicas[index].up:  # somebody else may have brought it back
            self._conditions.apply([Transition(self._env.now, index, Action.UP, CAUSE)])


def draw_repair_s(law: Phases, rng: np.random.Generator) -> float:
    """One repair time in seconds: a phase by its share, then exponential or lognormal with the phase's mean."""
    phase = int(rng.choice(len(law.shares), p=law.shares)) if len(law.shares) > 1 else 0
    mean_s = law.means_s[phase]
    if law.sigma > 0.0:
        return float(rng.lognormal(np.log(mean_s) - 0.5 * law.sigma**2, law.sigma))
    return float(rng.exponential(mean_s))
