"""Consistent hashing with bounded loads: prompts that begin alike go to the same replica while it is not too busy.

Replicas stand on a ring, each at many points. A prompt goes to the first replica at or after the hash of its leading
tokens that is not too busy, so that a replica which fails or joins moves only the prompts next to its own points
(Karger 1997; bounded loads: Mirrokni, Thorup and Zadimoghaddam 2018; as KubeAI's and vLLM's routers use them). Unlike
`prefix_affinity` it knows nothing of the caches.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b
from itertools import count

from sim.engine.plan import PrefixHash
from sim.engine.replica import Replica
from sim.engine.request import Request
from sim.workload.runs import leading, length, merged

POINTS = 256  # per replica, as KubeAI's `replication`; more make the shares of the ring more even


class PrefixRing:
    """The ring of a cluster."""

    def __init__(self, policy: PrefixHash, replicas: int) -> None:
        self._policy = policy
        points = sorted(
            (_hash(f"replica {index}/{point}"), index) for index in range(replicas) for point in range(POINTS)
        )
        self._at = [at for at, _ in points]
        self._replicas = [index for _, index in points]
        self._serial = count()

    def choose(self, up: Sequence[Replica], request: Request) -> Replica:
        """The replica for a request among those that are up."""
        candidates = {replica.index: replica for replica in up}
        # as KubeAI: the request itself counts in the mean
        most = self._policy.load_factor * (sum(replica.outstanding for replica in up) + 1) / len(up)
        start = bisect_left(self._at, _hash(self._key(request)))
        ring = self._replicas
        for offset in range(len(ring)):
            replica = candidates.get(ring[(start + offset) % len(ring)])
            if replica is not None and replica.outstanding <= most:
                return replica
        raise AssertionError("the least loaded replica is never above the mean")

    def _key(self, request: Request) -> str:
        """Name of the leading tokens; a prompt that is its own within them has a name of its own."""
        tokens = min(self._policy.tokens, request.input_tokens)
        shared = merged(leading(request.prefix or (), tokens))
        return str(shared) if length(shared) == tokens else f"{shared} and own {next(self._serial)}"


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()
