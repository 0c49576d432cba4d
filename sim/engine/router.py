"""Which replica takes a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from sim.engine.plan import RouterPolicy
from sim.engine.replica import Replica
from sim.streams import Streams, blockwise

_outstanding = attrgetter("outstanding")


class Router:
    """Chooses among the replicas that are up.

    `round_robin` takes them in turn, `least_outstanding` the one with fewest unfinished requests (lowest index on a
    tie), `power_of_two` the less loaded of two drawn at random from the stream `router`.
    """

    def __init__(self, policy: RouterPolicy, replicas: Sequence[Replica], streams: Streams) -> None:
        self._policy = policy
        self._replicas = list(replicas)
        self._turn = 0
        rng = streams.generator("router")
        self._uniform: Iterator[float] = blockwise(rng.random)

    def choose(self) -> Replica | None:
        """The replica for the next request, or None when none is up."""
        replicas = self._replicas
        if len(replicas) == 1:
            return replicas[0] if replicas[0].up else None
        up = [replica for replica in replicas if replica.up]
        if not up:
            return None
        if self._policy == "least_outstanding":
            return min(up, key=_outstanding)
        if self._policy == "round_robin":
            self._turn += 1
            return up[self._turn % len(up)]
        first = up[int(next(self._uniform) * len(up))]
        second = up[int(next(self._uniform) * len(up))]
        return second if second.outstanding < first.outstanding else first
