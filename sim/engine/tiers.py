"""What lies below the KV cache of one attention rank: memory of its hosts, and a pool of the whole cluster.

- Blocks evicted from the GPU are written to the host tier (SGLang's `write_back`), blocks evicted there to the remote
  pool; without a host tier they go to the pool at once. Blocks that are there already are not written again.
- They are written when the batch next changes (an admission, a chunk, a departure), and nobody waits for that. While
  more is queued than `max_write_backlog_s` takes, evicted blocks are given up.
- A lookup goes on where the GPU's ends, first in the host, then in the pool. What it finds is fetched, however cheap it
  would be to compute, before anything of the prompt is computed. Blocks stay where they were fetched from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from simpy import Environment

from sim.engine.content import Content
from sim.engine.fetch import Fetch
from sim.engine.host_tier import HostTier
from sim.engine.link import call_at
from sim.engine.prefix_cache import Shared
from sim.engine.remote_tier import RemoteTier
from sim.engine.replica import Replica
from sim.engine.request import Request
from sim.engine.tier import Tier, add_unless_begun
from sim.engine.tier_plan import HostPlan, RemotePlan
from sim.engine.totals import Totals


class TierFetch(Fetch):
    """Tokens from the host, and after them tokens from the remote pool."""

    __slots__ = ("_tiers", "host_tokens", "remote_tokens")

    def __init__(self, tiers: Tiers, host_tokens: int, remote_tokens: int) -> None:
        super().__init__(host_tokens + remote_tokens)
        self._tiers = tiers
        self.host_tokens = host_tokens
        self.remote_tokens = remote_tokens

    def landed(self, request: Request) -> None:
        """Book where the tokens came from; what was swapped out needs no room there any more."""
        self._tiers.landed(request, self)


class Tiers:
    """The tiers of one rank: its `Source`, and what its prefix cache evicts to.

    Attributes
    ----------
    pending : contents whose ends were evicted and are not written yet.
    """

    __slots__ = ("_below_host", "_env", "_host", "_remote", "_shared", "_size", "_totals", "pending")

    def __init__(
        self,
        env: Environment,
        shared: Shared,
        totals: Totals,
        block_size: int,
        host: HostTier | None,
        remote: RemoteTier | None,
    ) -> None:
        self._env = env
        self._shared = shared
        self._totals = totals
        self._size = block_size
        self._host = host
        self._remote = remote
        self._below_host = None if remote is None else self._to_pool
        self.pending: list[Content] = []

    def clear(self) -> None:
        """The replica died: what its hosts held is gone, and what was not yet in the pool."""
        self.pending.clear()
        if self._host is not None:
            self._host.clear()
        if self._remote is not None:
            self._remote.clear()

    # ---- what comes back ----------------------------------------------------------------------------------------

    def find(self, request: Request, found: int) -> Fetch | None:
        """What a waiting request can fetch that has its first `found` blocks on the GPU."""
        size = self._size
        path, most, near = request.path or self._shared.path(request), (request.target_tokens - 1) // size, found
        if self._host is not None:
            if self._host.swapped and (swapped := self._host.swapped.get(request, 0)) > found * size:
                return TierFetch(self, swapped - found * size, 0)
            near = max(near, self._host.tier.tree.match(path.content, most)[0])
        far = near if self._remote is None else max(near, self._remote.tier.tree.match(path.content, most)[0])
        return TierFetch(self, (near - found) * size, (far - near) * size) if far > found else None

    def start(self, request: Request, fetch: Fetch, done: Callable[[], None]) -> None:
        """Begin the transfers of an admitted request; host and pool send at the same time."""
        assert isinstance(fetch, TierFetch)
        content, size = self._shared.path(request).content, self._size
        over_s, tokens = self._env.now, request.hit_tokens
        if fetch.host_tokens and self._host is not None:
            tokens += fetch.host_tokens
            over_s = self._host.read(content, tokens // size, fetch.host_tokens)
        if fetch.remote_tokens and self._remote is not None:
            tokens += fetch.remote_tokens
            over_s = max(over_s, self._remote.read(content, tokens // size, fetch.remote_tokens))
        call_at(self._env, over_s, done)

    def landed(self, request: Request, fetch: TierFetch) -> None:
        """A fetch is over, and its request was still there."""
        self._totals.host_tokens += fetch.host_tokens
        self._totals.remote_tokens += fetch.remote_tokens
        self.forget(request)

    # ---- what goes out ------------------------------------------------------------------------------------------

    def spill(self, content: Content) -> None:
        """The end of a content was evicted from the GPU."""
        add_unless_begun(self.pending, content)

    def latest(self) -> Content | None:
        """What was spilled last, if to put its beginning once more would change nothing."""
        if self.pending:
            return self.pending[-1]
        return None if self._host is None else self._host.tier.youngest

    def flush(self) -> None:
        """Write what was evicted."""
        if self.pending:
            pending, self.pending = self.pending, []
            for content in pending:
                if self._host is not None:
                    self._host.write(content, self._below_host)
                else:
                    self._to_pool(content)

    def _to_pool(self, content: Content) -> None:
        if self._remote is not None:
            self._remote.write(content)

    def swap_out(self, request: Request, tokens: int) -> None:
        """A request was preempted that had stored `tokens` tokens, 0 while it was fetching."""
        if self._host is not None:
            self._host.swap_out(request, tokens, self._below_host)

    def forget(self, request: Request) -> None:
        """A request needs what was swapped out no more."""
        if self._host is not None and request in self._host.swapped:
            self._host.forget(request)

    def audit(self) -> None:
        """Check the counts of the host tier.

        Raises
        ------
        IdentityError : they are wrong.
        """
        if self._host is not None:
            self._host.audit()


def attach_tiers(
    env: Environment,
    replicas: Iterable[Replica],
    shared: Shared,
    totals: Totals,
    block_size: int,
    host: HostPlan | None,
    remote: RemotePlan | None,
) -> None:
    """Put tiers below every prefix cache of a cluster, with one remote pool for all."""
    pool = None if remote is None else Tier(remote.num_blocks, block_size)
    for replica in replicas:
        for rank in replica.ranks:
            assert rank.cache is not None
            near = None if host is None else HostTier(env, host, block_size, totals)
            rank.cache.near = None if near is None else near.tier.tree
            far = None if remote is None or pool is None else RemoteTier(env, remote, block_size, totals, pool)
            rank.source = rank.cache.lower = Tiers(env, shared, totals, block_size, near, far)
