"""What condition each replica is in, why, and for how long: the one door through which faults reach replicas.

Whoever decides that something happens (`sim.engine.player`, `sim.engine.autoscaler`) says so here.
Time is kept in one condition at a time, the worst that applies: off, down, hung, paused, draining, degraded (attention
ranks lost), slow (pace not that of design), up. The seconds in them add up to replicas x time.

A replica that was given back is nobody's: what happens to it changes nothing. Given out again it is complete, on other
nodes where the old ones had failed; the plan of the fleet knows nothing of that, so until the UP that it has for the
old nodes, that one included, what it says of the replica is about nodes that are no longer there.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from enum import StrEnum

from simpy import Environment

from sim.engine.replica import Replica
from sim.engine.request import Request
from sim.faults.transition import Action, Transition


class Condition(StrEnum):
    """Conditions of a replica, worst first."""

    OFF = "off"
    DOWN = "down"
    HUNG = "hung"
    PAUSED = "paused"
    DRAINING = "draining"
    DEGRADED = "degraded"
    SLOW = "slow"
    UP = "up"


WORST_FIRST = tuple(Condition)


class Conditions:
    """Conditions of all replicas.

    Parameters
    ----------
    lost : told of the requests that a change took, after all changes of one call.

    Attributes
    ----------
    outages : [replica, down at, up at or None] in order of failure; `causes` : of each.
    seconds : (replica, condition, cause) -> seconds, as far as booked.
    released : [replica, from, to or None] of replicas that were given back.
    """

    def __init__(self, env: Environment, replicas: Sequence[Replica], lost: Callable[[list[Request]], None]) -> None:
        self._env = env
        self._replicas = replicas
        self._lost = lost
        self.outages: list[list[float | int | None]] = []
        self.causes: list[str] = []
        self.seconds: dict[tuple[int, Condition, str], float] = {}
        self._open: dict[int, int] = {}
        self.released: list[list[float | int | None]] = []
        self._off: set[int] = set()
        self._struck: set[int] = set()  # those that the plan of the fleet has out of service
        self._elsewhere: set[int] = set()  # those that stand on other nodes than the plan of the fleet thinks
        self._usual: dict[int, Transition] = {}
        self._off_s = [0.0] * len(replicas)
        self._since_s = [0.0] * len(replicas)
        self._paused_until_s = [0.0] * len(replicas)
        self._facets: list[dict[Condition, str]] = [{Condition.UP: ""} for _ in replicas]

    # ---- what happens -------------------------------------------------------------------------------------------

    def apply(self, changes: Iterable[Transition], *, of_nodes: bool = True) -> None:
        """Let changes happen now, in their order; then tell the clients of what was lost.

        Parameters
        ----------
        of_nodes : whether the plan of the fleet has them, rather than somebody who knows on which nodes a replica is.
        """
        lost: list[Request] = []
        for change in changes:
            if of_nodes and self._misses(change):
                continue
            self._book(change.replica)
            lost += self._change(change)
        if lost:
            self._lost(lost)

    def _misses(self, change: Transition) -> bool:
        """Whether a change is about nodes that are not there, or no longer."""
        index, action = change.replica, change.action
        missed = index in self._off or index in self._elsewhere
        if action in {Action.DOWN, Action.HANG}:
            self._struck.add(index)
        elif action is Action.UP:
            self._struck.discard(index)
            self._elsewhere.discard(index)
        elif action is Action.PACE and self._env.now == 0.0:
            self._usual[index] = change  # what steps always take longer is told at the beginning
        return missed

    def _change(self, change: Transition) -> list[Request]:
        index, action = change.replica, change.action
        replica, facets = self._replicas[index], self._facets[index]
        lost: list[Request] = []
        if action is Action.UP:
            if replica.up:  # whatever was here is gone
                lost = replica.kill()
                self._down(index, change.cause)
            self._up(index)
            replica.revive()
        elif not replica.up:
            pass  # nothing else changes what is dead
        elif action is Action.DOWN:
            lost = replica.kill()
        elif action is Action.HANG:
            replica.hang()
            facets[Condition.HUNG] = change.cause
        elif action is Action.DRAIN:
            replica.drain()
            facets[Condition.DRAINING] = change.cause
        elif action is Action.ADMIT:
            facets.pop(Condition.DRAINING, None)
            replica.admit()
        elif action is Action.PACE:
            replica.set_pace(change.value)
            _set(facets, Condition.SLOW, change.cause, applies=change.value != 1.0)
        elif action is Action.PAUSE:
            self._pause(index, change)
        else:
            lost = self._resize(replica, change)
        if not replica.up:
            self._down(index, change.cause)
        return lost

    def _pause(self, index: int, change: Transition) -> None:
        replica = self._replicas[index]
        until_s = self._env.now + change.value
        if not replica.hung and until_s > max(self._env.now, self._paused_until_s[index]):
            self._paused_until_s[index] = until_s
            self._facets[index][Condition.PAUSED] = change.cause
        replica.pause(change.value)

    def _resize(self, replica: Replica, change: Transition) -> list[Request]:
        lost: list[Request] = []
        if change.action is Action.SHRINK:
            lost = replica.shrink(change.ranks)
        else:
            replica.grow(change.ranks)
        incomplete = len(replica.ranks) < len(replica.all_ranks)
        _set(self._facets[change.replica], Condition.DEGRADED, change.cause, applies=incomplete)
        return lost

    def _down(self, index: int, cause: str) -> None:
        if index not in self._open:
            self._open[index] = len(self.outages)
            self.outages.append([index, self._env.now, None])
            self.causes.append(cause)
            self._facets[index] = {Condition.DOWN: cause}
            self._paused_until_s[index] = 0.0

    def _up(self, index: int) -> None:
        self.outages[self._open.pop(index)][2] = self._env.now
        self._facets[index] = {Condition.UP: ""}

    # ---- replicas that are not provisioned ----------------------------------------------------------------------

    def release(self, index: int) -> None:
        """Give the nodes of a replica back: nobody pays for it, and faults do not meet it."""
        replica = self._replicas[index]
        self._book(index)
        lost = replica.kill() if replica.up else []
        if index in self._open:
            self.outages[self._open.pop(index)][2] = self._env.now
        replica.listed = False
        self.released.append([index, self._env.now, None])
        self._off.add(index)
        self._facets[index] = {Condition.OFF: ""}
        if lost:
            self._lost(lost)

    def provision(self, index: int) -> None:
        """A replica that was released serves, on other nodes where those that it had are out of service."""
        self._book(index)
        self._off.remove(index)
        next(span for span in reversed(self.released) if span[0] == index)[2] = self._env.now
        if index in self._struck:
            self._elsewhere.add(index)
        self._facets[index] = {Condition.UP: ""}
        self._replicas[index].revive()
        if index in self._usual:
            self._change(self._usual[index])

    # ---- time ---------------------------------------------------------------------------------------------------

    def _book(self, index: int) -> None:
        now, since_s, facets = self._env.now, self._since_s[index], self._facets[index]
        until_s = self._paused_until_s[index]
        if Condition.PAUSED in facets and until_s <= now:
            self._spend(index, max(0.0, until_s - since_s))
            since_s = max(since_s, until_s)
            del facets[Condition.PAUSED]
        self._spend(index, now - since_s)
        self._since_s[index] = now

    def _spend(self, index: int, seconds: float) -> None:
        if seconds > 0.0:
            facets = self._facets[index]
            worst = next(condition for condition in WORST_FIRST if condition in facets)
            key = index, worst, facets[worst]
            self.seconds[key] = self.seconds.get(key, 0.0) + seconds
            if worst is Condition.OFF:
                self._off_s[index] += seconds

    def settle(self) -> None:
        """Book the time up to now."""
        for index in range(len(self._replicas)):
            self._book(index)

    def down_s(self, now_s: float, indices: Container[int] | None = None) -> float:
        """Replica-seconds out of service since the start, of all replicas or of some."""
        outages = [outage for outage in self.outages if indices is None or outage[0] in indices]
        return sum((now_s if up is None else up) - down for _, down, up in outages)  # type: ignore[misc, operator]

    @property
    def off_s(self) -> float:
        """Replica-seconds not provisioned, as far as booked."""
        return sum(self._off_s)


def _set(facets: dict[Condition, str], condition: Condition, cause: str, *, applies: bool) -> None:
    if applies:
        facets[condition] = cause
    else:
        facets.pop(condition, None)
