"""Replicas that come and go with the load.

Every interval the autoscaler looks at the requests of all replicas and asks for so many that each has the target,
within its bounds (the rule of Kubernetes' horizontal autoscaler: ceil(current x metric / target)). A replica more needs
nodes first: a request for them takes its time, and succeeds or is repeated; then the replica starts. A replica less
drains, the one with fewest requests first, and is given back at the first look that finds it empty. Replicas on their
way are called off, and draining ones called back, before others are touched.

Nodes are paid for from when they are there until they are given back; starting and draining are in that.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf
from operator import attrgetter
from typing import cast

from simpy import Environment, Event

from sim.engine.clock import FAULT, Alarm, call_later
from sim.engine.conditions import Conditions
from sim.engine.plan import AutoscalerPlan
from sim.engine.replica import Replica
from sim.faults.transition import Action, Transition
from sim.streams import Streams

CAUSE = "autoscaler"
_outstanding = attrgetter("outstanding", "index")


class Autoscaler:
    """The replicas that are paid for, on their way, or leaving."""

    def __init__(
        self,
        env: Environment,
        plan: AutoscalerPlan,
        replicas: Sequence[Replica],
        conditions: Conditions,
        streams: Streams,
    ) -> None:
        self._env = env
        self._plan = plan
        self._replicas = replicas
        self._conditions = conditions
        self._rng = streams.generator("autoscaler")
        self._active = list(replicas[: plan.initial_replicas])
        self._leaving: list[Replica] = []
        self._coming: dict[Replica, int] = {}
        self._orders = 0
        self._paid_since_s: dict[Replica, float] = dict.fromkeys(self._active, 0.0)
        self._paid_s = 0.0
        self._up_s = self._down_s = -inf
        self._looks = 0
        self._alarm = Alarm(env, FAULT, self._look)

    def start(self) -> None:
        """Give back what is not there at the start, and begin to look."""
        for replica in self._replicas[self._plan.initial_replicas :]:
            self._conditions.release(replica.index)
        self._wait()

    def _wait(self) -> None:
        self._looks += 1
        self._alarm.set(self._looks * self._plan.interval_s)

    def billed_s(self, now_s: float) -> float:
        """Replica-seconds paid for since the start."""
        return self._paid_s + sum(now_s - since_s for since_s in self._paid_since_s.values())

    # ---- how many -----------------------------------------------------------------------------------------------

    def _look(self, _event: Event) -> None:
        plan, now = self._plan, self._env.now
        for replica in [replica for replica in self._leaving if not replica.outstanding]:
            self._leaving.remove(replica)
            self._give_back(replica)
        for replica in self._leaving:
            if replica.accepts:  # it died and came back meanwhile
                self._apply(replica, Action.DRAIN)
        wanted = min(plan.max_replicas, max(plan.min_replicas, ceil(self._load() / plan.target)))
        have = len(self._active) + len(self._coming)
        if wanted > have and now >= self._up_s + plan.scale_up_cooldown_s:
            self._up_s = now
            for _ in range(wanted - have):
                self._one_more()
        elif wanted < have and now >= max(self._up_s, self._down_s) + plan.scale_down_cooldown_s:
            self._down_s = now
            for _ in range(have - wanted):
                self._one_less()
        self._wait()

    def _load(self) -> int:
        here = (*self._active, *self._leaving)
        if self._plan.metric == "outstanding":
            return sum(replica.outstanding for replica in here)
        return sum(len(rank.waiting) for replica in here for rank in replica.ranks)

    # ---- one more -----------------------------------------------------------------------------------------------

    def _one_more(self) -> None:
        if self._leaving:
            replica = self._leaving.pop()
            self._active.append(replica)
            self._apply(replica, Action.ADMIT)
            return
        taken = {*self._active, *self._coming}
        replica = next(replica for replica in self._replicas if replica not in taken)
        self._orders += 1
        self._coming[replica] = self._orders
        self._order(replica, self._orders)

    def _order(self, replica: Replica, order: int) -> None:
        call_later(self._env, self._plan.provision_s, FAULT, self._answered, (replica, order))

    def _answered(self, event: Event) -> None:
        """A request for nodes was answered, unless it was called off."""
        replica, order = cast("tuple[Replica, int]", event.value)
        if self._coming.get(replica) != order:
            return
        if self._rng.random() >= self._plan.success_prob:
            self._order(replica, order)
            return
        self._paid_since_s[replica] = self._env.now
        call_later(self._env, self._plan.restart_s, FAULT, self._started, (replica, order))

    def _started(self, event: Event) -> None:
        replica, order = cast("tuple[Replica, int]", event.value)
        if self._coming.get(replica) == order:
            del self._coming[replica]
            self._active.append(replica)
            self._conditions.provision(replica.index)

    # ---- one less -----------------------------------------------------------------------------------------------

    def _one_less(self) -> None:
        if self._coming:
            replica, _ = self._coming.popitem()
            self._stop_paying(replica)
            return
        replica = min(self._active, key=_outstanding)
        self._active.remove(replica)
        if not replica.up:
            self._give_back(replica)
            return
        self._leaving.append(replica)
        self._apply(replica, Action.DRAIN)

    def _give_back(self, replica: Replica) -> None:
        self._conditions.release(replica.index)
        self._stop_paying(replica)

    def _stop_paying(self, replica: Replica) -> None:
        since_s = self._paid_since_s.pop(replica, self._env.now)
        self._paid_s += self._env.now - since_s

    def _apply(self, replica: Replica, action: Action) -> None:
        self._conditions.apply([Transition(self._env.now, replica.index, action, CAUSE)], of_nodes=False)
