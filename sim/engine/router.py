"""Which replica takes a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from operator import attrgetter

from sim.engine.health import Health
from sim.engine.plan import PrefixHash, RouterPolicy
from sim.engine.prefix_ring import PrefixRing
from sim.engine.replica import Replica
from sim.engine.request import Request
from sim.streams import Streams, blockwise

_outstanding = attrgetter("outstanding")


class Router:
    """Chooses among the replicas that take requests, or that it believes to take them (`sim.engine.health`).

    `round_robin` takes them in turn, `least_outstanding` the one with fewest unfinished requests (lowest index on a
    tie), `power_of_two` the less loaded of two drawn at random from the stream `router`. `prefix_affinity` takes the
    one that has most of the prompt cached among those not much busier than the least loaded one (the less loaded on a
    tie). `session_sticky` sends a session to the replica with the highest hash of both, so that a replica that fails
    moves its own sessions only; requests without a session go to the least loaded. `prefix_hash` hashes the leading
    tokens of the prompt onto a ring of replicas (`prefix_ring`).

    Parameters
    ----------
    guard : unfinished requests that a replica may have more than the least loaded one and still be chosen for its
        cache.
    """

    def __init__(
        self,
        policy: RouterPolicy,
        replicas: Sequence[Replica],
        streams: Streams,
        guard: int = 0,
        prefix_hash: PrefixHash | None = None,
        health: Health | None = None,
    ) -> None:
        self._health = health
        self._policy = policy
        self._replicas = list(replicas)
        self._guard = guard
        self._turn = 0
        self._ring = PrefixRing(prefix_hash or PrefixHash(), len(replicas)) if policy == "prefix_hash" else None
        rng = streams.generator("router")
        self._uniform: Iterator[float] = blockwise(rng.random)

    def choose(self, request: Request) -> Replica | None:
        """The replica for a request, or None when none takes it."""
        replicas = self._replicas
        if self._health is not None:
            return self._try(self._health, request)
        if len(replicas) == 1:
            return replicas[0] if replicas[0].accepts else None
        up = [replica for replica in replicas if replica.accepts]
        return self._among(up, request) if up else None

    def _try(self, health: Health, request: Request) -> Replica | None:
        """As `choose`, by what the router believes; the replica that it chooses may turn out to be down."""
        up = [replica for replica in self._replicas if health.allows(replica)]
        replica = self._among(up, request) if up else None
        return replica if replica is None or health.reaches(replica) else None

    def _among(self, up: Sequence[Replica], request: Request) -> Replica:
        policy = self._policy
        if policy == "round_robin":
            self._turn += 1
            return up[self._turn % len(up)]
        if policy == "power_of_two":
            first = up[int(next(self._uniform) * len(up))]
            second = up[int(next(self._uniform) * len(up))]
            return second if second.outstanding < first.outstanding else first
        if policy == "prefix_affinity" and up[0].caching:
            return self._familiar(request, up)
        if self._ring is not None:
            return self._ring.choose(up, request)
        if policy == "session_sticky" and request.session_id is not None:
            session_id = request.session_id
            return max(up, key=lambda replica: _weight(session_id, replica.index))
        return min(up, key=_outstanding)

    def _familiar(self, request: Request, up: Sequence[Replica]) -> Replica:
        most = min(map(_outstanding, up)) + self._guard
        near = [replica for replica in up if replica.outstanding <= most]
        return max(near, key=lambda replica: (replica.cached_blocks(request), -replica.outstanding))


def _weight(session_id: str, index: int) -> bytes:
    return blake2b(f"{index}/{session_id}".encode(), digest_size=8).digest()
