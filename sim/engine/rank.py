"""The scheduler of one attention data-parallel rank: queue, batch formation, KV admission, preemption.

Follows vLLM v1 at the level of steps: running decodes first, then unfinished prefills, then waiting requests in policy
order, within the token budget, `max_num_seqs` and the free KV blocks. When decoding needs a block and none is free, the
newest running request is preempted and recomputed later; a waiting request never preempts anybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from sim.engine.blocks import BlockPool
from sim.engine.fetch import Fetch, Source
from sim.engine.lane import DecodeTable, Lane
from sim.engine.path import Again
from sim.engine.plan import EngineLimits
from sim.engine.prefix_cache import PrefixCache, Shared
from sim.engine.recorder import Recorder
from sim.engine.request import Request, State


class Held:
    """What one replica holds over all its ranks, kept as running sums.

    Attributes
    ----------
    decoding : decoding sequences.
    cached_tokens : tokens whose KV running requests hold, before the step under way; shared blocks count once.
    """

    __slots__ = ("cached_tokens", "decoding")

    def __init__(self) -> None:
        self.decoding = 0
        self.cached_tokens = 0


class Rank:
    """One scheduler with its KV pool and its lanes (one, or one per pipeline stage).

    Attributes
    ----------
    waiting : requests not running, head first.
    running : requests fetching, prefilling or decoding, oldest first (an insertion-ordered set).
    prefills : running requests whose prompt is not yet computed.
    load : requests waiting or running; what the balancing of ranks looks at.
    safe_until : first step for which KV growth must be looked at again.
    cache : the prefix cache, or None without one.
    source : where KV can be fetched from, or None.
    wake : called with this rank, a request and its epoch when its transfer is over.
    """

    __slots__ = (
        "_fcfs",
        "_limits",
        "_preempted_step",
        "_record",
        "blocks",
        "cache",
        "held",
        "lanes",
        "load",
        "prefills",
        "running",
        "safe_until",
        "source",
        "waiting",
        "wake",
    )

    def __init__(
        self,
        limits: EngineLimits,
        table: DecodeTable,
        cap_tokens: int,
        held: Held,
        record: Recorder,
        shared: Shared | None = None,
        wake: Callable[[Rank, Request, int], None] | None = None,
    ) -> None:
        self._limits = limits
        self.source: Source | None = None
        self.wake = wake
        self._fcfs = limits.scheduling_policy == "fcfs"
        self._preempted_step = -1
        self.held = held
        self._record = record
        self.blocks = BlockPool(limits.num_kv_blocks, limits.block_size)
        self.cache = None if shared is None else PrefixCache(self.blocks, shared, record.totals)
        self.lanes = [Lane(table, cap_tokens, slot) for slot in range(limits.pipeline_parallel_size)]
        self.waiting: deque[Request] = deque()
        self.running: dict[Request, None] = {}
        self.load = self.prefills = 0
        self.safe_until = 1 << 60

    def clear(self, step: int, now_s: float) -> list[Request]:
        """Lose everything; returns the requests that were here, oldest first."""
        self.settle(now_s)
        for request in self.running:
            if request.state is State.DECODE:
                request.generated += step - request.join_step
        lost = [*self.running, *self.waiting]
        self.blocks.advance(step)
        self.blocks.clear(step)
        if self.cache is not None:
            for request in self.running:
                self.cache.stopped(request)
            self.cache.clear()
        for lane in self.lanes:
            lane.clear(step)
        self.running = {}
        self.waiting = deque()
        self.load = self.prefills = 0
        self.safe_until = 1 << 60
        self._preempted_step = -1  # the step under way is lost, and the next batch forms at the same step index
        return lost

    def settle(self, now_s: float) -> None:
        """Book the time in the queue up to now."""
        waiting_s = 0.0
        for request in self.waiting:
            waiting_s += now_s - request.queued_s
            request.queued_s = now_s
        self._record.totals.waiting_s += waiting_s

    def enqueue(self, request: Request, now_s: float) -> bool:
        """Add a request to the queue; returns whether it could join the next batch (nobody waits before it)."""
        request.rank = self
        request.state = State.WAITING
        request.queued_s = now_s
        self.load += 1
        waiting = self.waiting
        waiting.append(request)
        return len(waiting) == 1 or not self._fcfs

    def cached_blocks(self, request: Request, step: int) -> int:
        """Leading blocks of a request that are cached here while `step` is under way."""
        cache, blocks = self.cache, self.blocks
        assert cache is not None
        if blocks.step != step:
            blocks.advance(step)
        growth = blocks.growth()
        if blocks.cached > blocks.free - growth:
            cache.fit(growth)
        found = cache.match(request)[0]
        return found if cache.lower is None else max(found, cache.lower.known(request))

    def grow(self, step: int, now_s: float) -> None:
        """Make room for the blocks that decoding allocates in `step`, preempting the newest requests if need be."""
        blocks = self.blocks
        blocks.advance(step)
        while blocks.growth() > blocks.free:  # cached blocks count as free: they go first
            self._preempt(next(reversed(self.running)), step, now_s)
        self.safe_until = blocks.safe_until()

    def schedule(self, step: int, now_s: float) -> None:
        """Choose the prefill chunks of `step` for every lane; room for the growth of decodes must be there (`grow`)."""
        self.blocks.advance(step)
        budget_tokens = self._limits.max_num_batched_tokens
        for lane in self.lanes:
            lane.budget_tokens = budget_tokens - lane.seqs
        if self.prefills:
            for lane in self.lanes:
                if lane.prefilling:
                    self._continue(lane, step, now_s)
        if self.waiting and self._preempted_step != step:  # who was just put back must not return at once
            self._admit(now_s)
        self.safe_until = self.blocks.safe_until()
        if self._preempted_step == step:
            self.safe_until = step + 1  # it may return in the very next step

    def remove(self, request: Request, step: int, now_s: float) -> None:
        """Take a waiting or running request out and free its blocks; `step` is the next step."""
        self.load -= 1
        if self.source is not None:
            self.source.forget(request)
        if request.state is State.WAITING:
            self._dequeue(request, now_s)
        else:
            self.drop(request, step)

    def _dequeue(self, request: Request, now_s: float) -> None:
        self._record.totals.waiting_s += now_s - request.queued_s
        if request is self.waiting[0]:
            self.waiting.popleft()
        else:
            self.waiting.remove(request)

    def _continue(self, lane: Lane, step: int, now_s: float) -> None:
        blocks = self.blocks
        for request in tuple(lane.prefilling):
            if lane.budget_tokens <= 0:
                return
            if request.state is not State.PREFILL:
                continue  # preempted by an older one in this very step
            chunk = min(request.target_tokens - request.computed_tokens, lane.budget_tokens)
            need = self._blocks_for(request, chunk)
            while need > blocks.free - blocks.growth() and request.state is State.PREFILL:
                self._preempt(next(reversed(self.running)), step, now_s)
            if request.state is not State.PREFILL:
                return  # it was the newest itself
            self._chunk(lane, request, chunk, need)

    def _admit(self, now_s: float) -> None:
        waiting, running, lanes, blocks, cache = self.waiting, self.running, self.lanes, self.blocks, self.cache
        source, found = self.source, 0
        seats = self._limits.max_num_seqs
        room = blocks.free - blocks.growth()  # decodes allocate their growth within the step
        reserve = self._limits.scheduler_reserve_full_isl
        if reserve:
            room -= self._promised_blocks()
        lane = lanes[0]
        while waiting and len(running) < seats:
            if len(lanes) > 1:
                lane = min(lanes, key=_fullness)
            if lane.budget_tokens <= 0:
                return
            request = waiting[0] if self._fcfs else min(waiting, key=_prefill_left)
            chunk = request.target_tokens
            if cache is not None:
                cache.fit(blocks.growth())
                found, idle = cache.match(request)
                chunk -= found * blocks.block_size
                room -= idle  # what it finds idle is held from now on
            if source is not None and (fetch := source.find(request, found)) is not None:
                need = -(-request.target_tokens // blocks.block_size) - found
                if need > room:
                    return
                room -= need
                self._fetch(request, fetch, found, need, now_s)
                continue
            chunk = min(chunk, lane.budget_tokens)
            need = -(-chunk // blocks.block_size)  # what it finds ends with a block
            whole = -(-request.target_tokens // blocks.block_size) - found if reserve else need
            if whole > room:
                return
            room -= whole
            if source is not None:
                source.forget(request)
            if cache is not None:
                self.held.cached_tokens += cache.hold(request, found)
            self._dequeue(request, now_s)
            request.state = State.PREFILL
            request.lane = lane
            if request.scheduled_s < 0.0:
                request.scheduled_s = now_s
            running[request] = None
            lane.prefilling.append(request)
            self.prefills += 1
            self._chunk(lane, request, chunk, need)

    def _fetch(self, request: Request, fetch: Fetch, found: int, need: int, now_s: float) -> None:
        """Admit a request that has all its blocks from now on, and waits in none of the lanes for its transfer."""
        source, wake = self.source, self.wake
        assert source is not None
        assert wake is not None
        if self.cache is not None:
            self.held.cached_tokens += self.cache.hold(request, found, fetch.tokens)
        self._dequeue(request, now_s)
        request.state = State.FETCH
        request.fetch = fetch
        if request.scheduled_s < 0.0:
            request.scheduled_s = now_s
        self.running[request] = None
        self.blocks.take(need)
        request.blocks += need
        if self.cache is not None:
            self.cache.make_room(self.blocks.growth())  # what the transfer will overwrite goes out before it
        source.start(request, fetch, partial(wake, self, request, request.epoch))

    def rest(self) -> None:
        """No step is under way: everybody who is here waits for a transfer, or for room that a fetching one has."""
        assert not self.load or any(r.state is State.FETCH for r in self.running), "requests here, but nothing runs"
        self._preempted_step = -1  # the next batch forms at the same step index

    def land(self, request: Request, step: int) -> Lane:
        """The transfer of a request is over: its tokens are there from `step` on; returns the lane that it joins."""
        fetch = request.fetch
        assert fetch is not None
        request.computed_tokens += fetch.tokens
        request.hit_tokens += fetch.tokens
        self.held.cached_tokens += fetch.tokens
        self._record.totals.fetched_tokens += fetch.tokens
        fetch.landed(request)
        if self.cache is not None:
            self.store(request, step)
        lane = request.lane = min(self.lanes, key=_occupancy)
        if request.computed_tokens < request.target_tokens:
            request.state = State.PREFILL
            request.fetch = None
            lane.prefilling.append(request)
            self.prefills += 1
        return lane

    def _promised_blocks(self) -> int:
        """Blocks that the prompts under way will still take."""
        size = self.blocks.block_size
        return sum(
            -(-request.target_tokens // size) - request.blocks for lane in self.lanes for request in lane.prefilling
        )

    def _blocks_for(self, request: Request, chunk: int) -> int:
        return -(-(request.computed_tokens + chunk) // self.blocks.block_size) - request.blocks

    def _chunk(self, lane: Lane, request: Request, chunk: int, need: int) -> None:
        self.blocks.take(need)
        request.blocks += need
        lane.budget_tokens -= chunk
        lane.chunks.append((request, chunk))

    def _preempt(self, request: Request, step: int, now_s: float) -> None:
        """Put a running request back at the head of the queue; its tokens are computed again later."""
        wasted = request.computed_tokens - request.hit_tokens
        if self.cache is not None:
            self.cache.fit(self.blocks.growth())
        stored, fetching = request.computed_tokens, request.state is State.FETCH
        if request.state is State.DECODE:
            stored = request.join_context - 1 + step - request.join_step
            if request.fetch is None:  # otherwise it has just resumed
                request.last_token_s = now_s  # a decoding sequence has put out a token at every boundary
        request.queued_s = now_s
        self.drop(request, step)
        self._preempted_step = step
        request.preemptions += 1
        path = request.path
        if path is not None:
            path.again_tokens, path.again_cause = stored, Again.PREEMPTED
        request.target_tokens = request.input_tokens + request.generated
        self._record.preempted(wasted, request.target_tokens if self.cache is None else 0)
        request.computed_tokens = request.hit_tokens = 0
        request.state = State.WAITING
        request.fetch = None
        if self.source is not None:
            self.source.swap_out(request, 0 if fetching else stored)
        self.waiting.appendleft(request)

    def drop(self, request: Request, step: int) -> None:
        """Take a running request out of its lane and free its blocks."""
        del self.running[request]
        request.epoch += 1
        if request.state is State.FETCH:  # the transfer goes on, but nobody waits for it
            self.give(request, step)
            request.blocks = 0
            request.fetch = None
            return
        lane, held = request.lane, self.held
        assert lane is not None
        if request.state is State.DECODE:
            decoded = step - request.join_step
            stored = request.join_context - 1
            request.generated += decoded
            held.decoding -= 1
            self.blocks.advance(step)
            if self.cache is None:
                held.cached_tokens -= stored + decoded
                self.blocks.leave(request.join_step, stored, step)
            else:
                self.blocks.stop(request.join_step, stored)
                blocks = -(-(stored + decoded) // self.blocks.block_size)
                held.cached_tokens -= self.cache.release(request, stored + decoded, blocks)
            lane.leave(request, step)
        else:
            self.give(request, step)
            self.prefills -= 1
            lane.prefilling.remove(request)
            if lane.chunks:
                lane.chunks = [pair for pair in lane.chunks if pair[0] is not request]
        request.blocks = 0

    def give(self, request: Request, step: int) -> None:
        """Free the blocks of a request that does not decode."""
        cache = self.cache
        if cache is None:
            self.held.cached_tokens -= request.computed_tokens
            self.blocks.give(request.blocks)
            return
        self.blocks.advance(step)
        self.held.cached_tokens -= cache.release(request, request.computed_tokens, request.blocks)

    def store(self, request: Request, step: int) -> None:
        """Let others find the blocks of a prompt, as far as it has been computed."""
        cache = self.cache
        assert cache is not None
        self.blocks.advance(step)
        self.held.cached_tokens -= cache.store(request, request.computed_tokens)


def _fullness(lane: Lane) -> tuple[bool, int]:
    """Order in which microbatches take new requests: those with budget left first, then the smallest."""
    return lane.budget_tokens <= 0, lane.seqs + len(lane.prefilling)


def _occupancy(lane: Lane) -> int:
    """Sequences of a microbatch."""
    return lane.seqs + len(lane.prefilling)


def _prefill_left(request: Request) -> int:
    return request.target_tokens - request.computed_tokens
