"""What the router knows of replicas that may be down: health checks, and a circuit breaker for each.

Without this the router knows at once that a replica died or came back. With it, attempts go on to a replica that died,
fail at once, and count; enough failures within a window open its circuit, and nothing is sent there until it has cooled
down. Then attempts are let through again, and successes close the circuit, or a failure opens it once more. Attempts
that a death interrupts, and those that a client gives up on, are failures too.

Health checks come at fixed intervals and ask for a token, so they find hung replicas as well as dead ones; a replica
that fails its check gets nothing until it passes one. Draining and released replicas have left the router's list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf

from simpy import Environment, Event

from sim.engine.clock import CLIENT, Alarm
from sim.engine.plan import HealthPlan
from sim.engine.replica import Replica
from sim.engine.totals import Totals


class Circuit:
    """The breaker of one replica.

    Attributes
    ----------
    open_until_s : when it has cooled down; minus infinity while closed.
    failures : times of the failures within the window.
    successes : since it cooled down.
    passed : whether the last health check was passed.
    """

    __slots__ = ("failures", "open_until_s", "passed", "successes")

    def __init__(self) -> None:
        self.open_until_s = -inf
        self.failures: deque[float] = deque()
        self.successes = 0
        self.passed = True


class Health:
    """What the router believes."""

    def __init__(self, env: Environment, plan: HealthPlan, replicas: Sequence[Replica], totals: Totals) -> None:
        self._totals = totals
        self._env = env
        self._plan = plan
        self._replicas = replicas
        self._circuits = {replica: Circuit() for replica in replicas}
        self._checks = 0
        self._alarm = Alarm(env, CLIENT, self._check)

    def start(self) -> None:
        """Begin to check."""
        self._checks += 1
        self._alarm.set(self._checks * self._plan.check_interval_s)

    def allows(self, replica: Replica) -> bool:
        """Whether the router would send to a replica now."""
        circuit = self._circuits[replica]
        return replica.listed and circuit.passed and circuit.open_until_s <= self._env.now

    def reaches(self, replica: Replica) -> bool:
        """Whether a replica that an attempt is sent to answers; a failure if not."""
        if not replica.up:
            self._totals.misrouted += 1
            self.failed(replica)
        return replica.up

    def failed(self, replica: Replica) -> None:
        """An attempt at a replica failed."""
        circuit, plan, now = self._circuits[replica], self._plan, self._env.now
        if now < circuit.open_until_s:
            return  # one that was sent before
        half_open = circuit.open_until_s > -inf
        failures = circuit.failures
        failures.append(now)
        while failures[0] <= now - plan.window_s:
            failures.popleft()
        if half_open or len(failures) >= plan.failures:
            circuit.open_until_s = now + plan.cooldown_s
            circuit.successes = 0
            failures.clear()

    def succeeded(self, replica: Replica) -> None:
        """An attempt at a replica succeeded."""
        circuit = self._circuits[replica]
        if -inf < circuit.open_until_s <= self._env.now:
            circuit.successes += 1
            if circuit.successes >= self._plan.successes:
                circuit.open_until_s = -inf

    def _check(self, _event: Event) -> None:
        for replica in self._replicas:
            self._circuits[replica].passed = replica.up and not replica.hung
        self.start()
