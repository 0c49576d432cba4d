"""The prefix cache of one attention rank: which blocks of its pool hold KV that another request may use.

Blocks of requests that have left stay in the pool until somebody needs the room: for admission and growth they count
as free, and they are evicted, least recently used first, before any running request is preempted. Blocks that several
requests share are held once. Rules, as vLLM v1 unless said otherwise:

- Only whole blocks are shared, and at least the last prompt token is computed.
- Blocks of a prompt can be found once the step that computed them is over (as in SGLang; vLLM lets requests of the
  same step share already). Where two requests computed the same block, one copy is given back.
- Blocks of generated tokens can be found once their request has left or was preempted.
- A request that is let go leaves its blocks as the youngest, its last block to be evicted first.

Growth of decoding sequences takes blocks without a word to the cache. That is exact, because growth does not change the
order of eviction: what growth has taken is evicted (`fit`) before the cache is next looked at, and before blocks that
growth could have taken instead come free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sim.engine.blocks import BlockPool
from sim.engine.content import Contents
from sim.engine.path import Again, Path
from sim.engine.radix import Node, RadixTree
from sim.engine.request import Request
from sim.engine.session_memory import SessionMemory, Stored
from sim.engine.totals import Totals
from sim.errors import IdentityError

if TYPE_CHECKING:
    from sim.engine.tiers import Tiers


class Shared:
    """What the prefix caches of all ranks of a cluster share.

    Attributes
    ----------
    sessions : what each session had stored where.
    """

    __slots__ = ("_contents", "sessions")

    def __init__(self, block_size: int) -> None:
        self._contents = Contents(block_size)
        self.sessions = SessionMemory()

    def path(self, request: Request) -> Path:
        """The path of a request, with its content."""
        path = request.path
        if path is None:
            content = self._contents.of(
                request.prefix, request.input_tokens, request.output_tokens, request.output_first_id
            )
            path = request.path = Path(content)
        return path


class PrefixCache:
    """Cached blocks of one pool.

    Parameters
    ----------
    pool : its blocks; `pool.cached` of them are idle here.

    Attributes
    ----------
    life : how often everything was lost so far.
    path : the path of a request, with its content.
    lower : the tiers that evicted blocks go to, or None.
    near : what the host memory among them holds, or None.
    """

    __slots__ = ("_pool", "_shared", "_totals", "block_size", "life", "lower", "near", "path", "tree")

    def __init__(self, pool: BlockPool, shared: Shared, totals: Totals) -> None:
        self._pool = pool
        self._shared = shared
        self.path = shared.path
        self._totals = totals
        self.block_size = pool.block_size
        self.life = 0
        self.lower: Tiers | None = None
        self.near: RadixTree | None = None
        self.tree = RadixTree(pool.block_size)

    def clear(self) -> None:
        """Forget everything; the replica died."""
        self.life += 1
        self.tree.clear()
        if self.lower is not None:
            self.lower.clear()

    def fit(self, reserved: int = 0) -> None:
        """Evict until the idle blocks fit into what is free beside `reserved` blocks."""
        pool = self._pool
        room = pool.free - reserved
        if pool.cached > room:
            excess = pool.cached - room if room > 0 else pool.cached
            lower = self.lower
            if lower is None:
                self.tree.evict(excess)
            else:
                self.tree.evict(excess, lower.spill, lower.latest())
            pool.cached -= excess
            pool.freed += excess
            self._totals.evicted_tokens += excess * self.block_size

    def make_room(self, reserved: int) -> None:
        """Evict as `fit` does, and send what goes to the tiers below at once."""
        pool, lower = self._pool, self.lower
        if pool.cached > pool.free - reserved:
            self.fit(reserved)
        if lower is not None and lower.pending:
            lower.flush()

    def match(self, request: Request) -> tuple[int, int]:
        """(leading blocks that a request would find here, how many of them are idle); `fit` first."""
        path = request.path or self.path(request)
        return self.tree.match(path.content, (request.target_tokens - 1) // self.block_size)

    def hold(self, request: Request, blocks: int, fetch_tokens: int = 0) -> int:
        """Admit a request that holds from now on the leading blocks that it found.

        Parameters
        ----------
        fetch_tokens : tokens after these that come over a link.

        Returns
        -------
        Tokens of these that nobody held until now.
        """
        size, totals = self.block_size, self._totals
        if self.lower is not None and self.lower.pending:
            self.lower.flush()
        path = request.path or self.path(request)
        hit_tokens = blocks * size
        totals.admitted_prompt_tokens += request.target_tokens
        totals.cached_prompt_tokens += hit_tokens
        request.computed_tokens = request.hit_tokens = hit_tokens
        request.blocks = blocks
        if path.again_tokens:
            self._explain(request, path, fetch_tokens)
        elif request.session_id is not None:
            limit = (request.target_tokens - 1) // size
            hit = blocks + fetch_tokens // size
            self._shared.sessions.explain(request.session_id, path.content, limit, hit, self, totals)
        if not blocks:
            return 0
        _, revived = self.tree.extend(path, blocks)
        pool = self._pool
        pool.free -= revived
        pool.cached -= revived
        return revived * size

    def _explain(self, request: Request, path: Path, fetch_tokens: int) -> None:
        """Book what the request had computed before and must compute again."""
        totals = self._totals
        tokens = max(0, min(path.again_tokens, request.target_tokens) - request.hit_tokens - fetch_tokens)
        path.again_tokens = 0
        if path.again_cause is Again.PREEMPTED:
            totals.recompute_tokens += tokens
            totals.recompute_preempted_tokens += tokens
        elif path.again_cause is Again.FAILED:
            totals.recompute_failed_tokens += tokens
        else:
            totals.recompute_withdrawn_tokens += tokens

    def store(self, request: Request, tokens: int) -> int:
        """Make the whole blocks among the first `tokens` tokens of a running request known.

        Returns
        -------
        Tokens of these that somebody else holds too: the request's own copies are given back.
        """
        path = request.path
        assert path is not None
        blocks = tokens // self.block_size
        if blocks <= path.blocks:
            return 0
        self.make_room(0)
        return self._extend(path, blocks) * self.block_size

    def _extend(self, path: Path, blocks: int) -> int:
        shared, revived = self.tree.extend(path, blocks)
        if shared or revived:
            pool = self._pool
            pool.freed += shared + revived
            pool.free += shared
            pool.cached -= revived
        return shared

    def release(self, request: Request, tokens: int, blocks: int, *, keep_output: bool = True) -> int:
        """Let a running request go that holds `blocks` blocks, with `tokens` tokens stored.

        Without `keep_output` only blocks that can be found already stay.

        Returns
        -------
        Tokens that no running request holds any more.
        """
        path = request.path
        assert path is not None
        pool, size = self._pool, self.block_size
        whole = tokens // size
        self.make_room(0)  # what growth has taken is gone before other blocks come free
        shared = self._extend(path, whole) if keep_output and whole > path.blocks else 0
        known = path.blocks
        pool.give(blocks - known)
        idle = self.tree.release(path)
        pool.free += idle
        pool.cached += idle
        self.stopped(request)
        return tokens - (known - idle - shared) * size

    def stopped(self, request: Request) -> None:
        """Book the prompt tokens that an admission asked for and that will not be computed, if there are any."""
        self._totals.forgone_prompt_tokens += request.target_tokens - request.computed_tokens

    def completed(self, request: Request, stored_tokens: int | None = None) -> None:
        """Remember what the session of a request has stored here: without a figure, all but its last token."""
        session_id, path = request.session_id, request.path
        if session_id is not None and path is not None:
            tokens = request.input_tokens + request.output_tokens - 1 if stored_tokens is None else stored_tokens
            blocks = tokens // self.block_size
            self._shared.sessions.left(session_id, Stored(path.content, blocks, self, self.life))

    def audit(self, running: Iterable[Request]) -> int:
        """Blocks that running requests share, counted once less than they have holders; checks every count on the way.

        Raises
        ------
        IdentityError : holders, idle blocks or the order of eviction are not what the requests here say.
        """
        if self.lower is not None:
            self.lower.audit()
        holders: dict[Node, int] = {}
        known = 0
        for request in running:
            path = request.path
            assert path is not None
            known += path.blocks
            node = path.node
            while node is not None and node.parent is not None:
                holders[node] = holders.get(node, 0) + 1
                node = node.parent
        self.fit()
        held = idle = 0
        for node in self.tree.nodes():
            if node.holders != holders.get(node, 0) or (node.holders == 0) != (node in self.tree.idle):
                raise IdentityError("identity does not hold: holders of cached blocks = requests that lead there")
            if node.holders:
                held += node.blocks
            else:
                idle += node.blocks
        if idle != self._pool.cached or self._pool.held + idle > self._pool.total:
            raise IdentityError(f"identity does not hold: cached blocks: {idle} against {self._pool.cached}")
        return known - held
