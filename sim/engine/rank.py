"""The scheduler of one attention data-parallel rank: queue, batch formation, KV admission, preemption.

Follows vLLM v1 at the level of steps: running decodes first, then unfinished prefills, then waiting requests in policy
order, within the token budget, `max_num_seqs` and the free KV blocks. When decoding needs a block and none is free, a
request is preempted and recomputed later: the newest, or whom the engine at hand picks (`retraction`); some look
ahead to the output before they admit (`admission`). Who waits preempts nobody, unless classes of priority allow it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from sim.engine.acceptance import settle_rest
from sim.engine.admission import Admission, admission_of
from sim.engine.chunks import Chunks, fewest_requests
from sim.engine.content import Content
from sim.engine.fetch import Fetch, Source
from sim.engine.held import Held
from sim.engine.holdings import Holdings
from sim.engine.lane import DecodeTable, Lane
from sim.engine.path import Again
from sim.engine.plan import EngineLimits
from sim.engine.prefix_cache import PrefixCache, Shared
from sim.engine.recorder import Recorder
from sim.engine.request import Request, State
from sim.engine.retraction import displaced, gives_way
from sim.engine.speculative_blocks import block_pool
from sim.engine.speculative_lane import lane_of
from sim.engine.waiting_line import Line, WaitingHeap

FAR = 1 << 60


class Rank(Holdings):
    """One scheduler with its KV pool and its lanes (one, or one per pipeline stage).

    Attributes
    ----------
    waiting : requests not running, head first.
    running : requests fetching, prefilling or decoding, oldest first (an insertion-ordered set).
    prefills : running requests whose prompt is not yet computed.
    load : requests waiting or running; what the balancing of ranks looks at.
    safe_until : first step for which KV growth must be looked at again.
    cache : the prefix cache, or None without one.
    admission : what the engine asks for beside the prompt, or None.
    source : where KV can be fetched from, or None.
    wake : called with this rank, a request and its epoch when its transfer is over.
    """

    __slots__ = (
        "_chunks",
        "_displaced_priority",
        "_fcfs",
        "_limits",
        "_newest",
        "_preempted_step",
        "_pressing_step",
        "_reserve",
        "_retracts",
        "_watermark",
        "load",
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
        self._retracts = limits.scheduler == "sglang"
        self._newest = not self._retracts and limits.scheduling_policy != "priority"
        self._watermark = int(limits.kv_watermark_frac * limits.num_kv_blocks)
        self._displaced_priority, self._preempted_step, self._pressing_step = 0, -1, -1
        self.held = held
        self._record = record
        self.blocks = block_pool(limits)
        self.cache = None if shared is None else PrefixCache(self.blocks, shared, record.totals)
        self.admission: Admission | None = admission_of(limits, self.blocks)
        self._reserve = limits.scheduler_reserve_full_isl or self.admission is not None
        self.lanes = [lane_of(limits, table, cap_tokens, slot) for slot in range(limits.pipeline_parallel_size)]
        self._chunks = Chunks(self.lanes) if len(self.lanes) > 1 else None
        self.waiting: Line = self._line()
        self.running: dict[Request, None] = {}
        self.load = self.prefills = 0
        self.safe_until = 1 << 60

    def _line(self) -> Line:
        return deque() if self._fcfs else WaitingHeap(self._limits.scheduling_policy)

    def _head(self) -> Request:
        waiting = self.waiting
        return waiting.head() if isinstance(waiting, WaitingHeap) else next(iter(waiting))

    def stored(self, step: int, kept: Iterable[Request] = ()) -> tuple[int, int]:
        """(decoding sequences, tokens cached before `step`) of what `Held` sums up, counted one by one here.

        Parameters
        ----------
        kept : requests with KV here beside the running ones, in none of the sums.
        """
        decoding = tokens = 0
        for request in self.running:
            if request.state is State.DECODE:
                assert request.lane is not None
                decoding += 1
                tokens += request.join_context - 1 + request.lane.decoded_tokens(request, step)
            else:
                tokens += request.computed_tokens
        if self.cache is not None:
            self.blocks.advance(step)
            tokens -= self.cache.audit((*self.running, *kept)) * self.blocks.block_size  # shared blocks count once
        return decoding, tokens

    def clear(self, step: int, now_s: float, token_s: float = 0.0) -> list[Request]:
        """Lose everything; returns the requests that were here, oldest first.

        Parameters
        ----------
        token_s : when decoding sequences put out their last token, but those that resumed or began later.
        """
        self.settle(now_s)
        for request in self.running:
            if request.state is State.DECODE:
                assert request.lane is not None
                decoded = request.lane.decoded_tokens(request, step)
                if self._limits.num_speculative_tokens:
                    settle_rest(self.held, request, decoded, request.lane.rest_units(request, step), self._record)
                request.generated += decoded
                if request.fetch is None:  # otherwise it has just resumed
                    request.last_token_s = max(request.last_token_s, token_s)
        lost = [*self.running, *self.waiting]
        self.blocks.advance(step)
        self.blocks.clear(step)
        if self.cache is not None:
            for request in self.running:
                self.cache.stopped(request)
            self.cache.clear()
        for lane in self.lanes:
            lane.clear(step)
        if self._chunks is not None:
            self._chunks.clear()
        self.running = {}
        self.waiting = self._line()
        if self.admission is not None:
            self.admission.clear(step)
        self.load = self.prefills = 0
        self.safe_until = 1 << 60
        self.scheduled()  # the step under way is lost
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
        if self.load == 0 and self.admission is not None:
            self.admission.was_idle()
        self.load += 1
        waiting = self.waiting
        waiting.append(request)
        return len(waiting) == 1 or not self._fcfs

    def move_up(self, request: Request) -> None:
        """Let the newest of the queue, who has run before, stand where a preempted request would."""
        waiting = self.waiting
        if isinstance(waiting, deque):
            waiting.rotate(1)
        elif self._limits.scheduling_policy != "priority":  # there its class and arrival say where
            waiting.remove(request)
            waiting.appendleft(request)

    def cached_blocks(self, content: Content, most: int, step: int) -> int:
        """Leading blocks of a content, at most `most`, that are cached here while `step` is under way."""
        cache, blocks = self.cache, self.blocks
        assert cache is not None
        if blocks.step != step:
            blocks.advance(step)
        growth = blocks.phases[step % blocks.cycle_steps]
        if blocks.cached > blocks.free - growth:
            cache.fit(growth)
        found, _ = cache.tree.match(content, most)
        if cache.near is None or found == most:
            return found
        near, _ = cache.near.match(content, most)
        return near if near > found else found  # noqa: FURB136 - a call of max costs more than the rest

    def grow(self, step: int, now_s: float) -> None:
        """Make room for the blocks that decoding allocates in `step`, preempting requests if need be."""
        blocks = self.blocks
        blocks.advance(step)
        if blocks.growth() > blocks.free:  # cached blocks count as free: they go first
            while blocks.growth() > blocks.free:
                self._preempt(self._victim(step), step, now_s)
            if self.admission is not None:
                self.admission.retracted(self.running, step)
        self.safe_until = blocks.safe_until()

    def schedule(self, step: int, now_s: float) -> None:
        """Choose the prefill chunks of `step` for every lane; room for the growth of decodes must be there (`grow`)."""
        self.blocks.advance(step)
        budget_tokens, mixed = self._limits.max_num_batched_tokens, self._limits.enable_mixed_chunk
        for lane in self.lanes:
            lane.budget_tokens = budget_tokens - lane.seqs * lane.verified_tokens if mixed else budget_tokens
        if self._chunks is not None:
            for lane in self.lanes:
                lane.earlier.clear()
            self._chunks.proceed(self, step, now_s)
        elif self.prefills:
            self._continue(self.lanes[0], step, now_s)
        if self.waiting and (self._preempted_step != step or not self.running):  # who was just put back must wait
            self._admit(now_s)
        if self.admission is not None and mixed:
            for lane in self.lanes:
                if lane.chunks:
                    self.admission.chunked(step)
                    break
        self.safe_until = self.blocks.safe_until()
        if step in (self._preempted_step, self._pressing_step):
            self.safe_until = step + 1  # it may return, or make way, in the very next step

    def scheduled(self) -> None:
        """The next batch is another one, at the same step index: who was put back in this one may be in it."""
        self._preempted_step = self._pressing_step = -1

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
        waiting = self.waiting
        if isinstance(waiting, deque) and request is waiting[0]:
            waiting.popleft()
        else:
            waiting.remove(request)

    def _victim(self, step: int) -> Request:
        return next(reversed(self.running)) if self._newest else gives_way(self._limits, self.running, step)

    def steps_until_admission(self, step: int, steps: int) -> int:
        """Of `steps` steps that only decode, those before the head of the queue may be admitted."""
        if self.admission is None or len(self.running) >= self._limits.max_num_seqs:
            return steps
        return self.admission.steps_until(step, steps)

    def _continue(self, lane: Lane, step: int, now_s: float) -> None:
        for request in tuple(lane.prefilling):
            if lane.budget_tokens <= 0:
                return
            if request.state is not State.PREFILL:
                continue  # preempted by an older one in this very step
            chunk = min(request.target_tokens - request.computed_tokens, lane.budget_tokens)
            need = self.make_room(request, chunk, step, now_s)
            if request.state is not State.PREFILL:
                return  # it was the newest itself
            self.chunk(lane, request, chunk, need)

    def make_room(self, request: Request, tokens: int, step: int, now_s: float) -> int:
        """Preempt the newest requests, at last itself, until `tokens` of a prompt fit; returns the blocks needed."""
        blocks = self.blocks
        need = self.blocks_for(request, tokens)
        while need > blocks.free - blocks.growth() and request.state is State.PREFILL:
            self._preempt(self._victim(step), step, now_s)
        return need

    def _admit(self, now_s: float) -> None:
        waiting, running, lanes, blocks, cache = self.waiting, self.running, self.lanes, self.blocks, self.cache
        source, found, idle, growth = self.source, 0, 0, blocks.growth()
        ahead = blocks.lookahead_tokens
        seats = self._limits.max_num_seqs
        room = blocks.free - growth  # decodes allocate their growth within the step
        reserve, admission = self._reserve, self.admission
        if reserve:
            room -= self._promised_blocks()
        if admission is not None:
            admission.opens(lanes, blocks.step)
        chunks = self._chunks
        lane = begins = lanes[0]  # where it will decode, and where its prompt begins
        while waiting:
            if len(running) >= seats:
                if self._make_way(0.0, now_s):
                    self._admit(now_s)
                return
            if lane.budget_tokens <= 0 if chunks is None else chunks.spent():
                return
            request = self._head()
            if running and self._preempted_step == blocks.step and request.priority >= self._displaced_priority:
                return  # who was just displaced must not return at once
            chunk = request.target_tokens
            if cache is not None:
                if blocks.cached > blocks.free - growth:
                    cache.fit(growth)
                found, idle = cache.match(request)
                chunk -= found * blocks.block_size
                room -= idle  # what it finds idle is held from now on
            if source is not None and (fetch := source.find(request, found)) is not None:
                need = -(-(request.target_tokens + ahead) // blocks.block_size) - found
                if running and not self._fits(request, need - room, found, idle, now_s):
                    return
                room -= need
                self._fetch(request, fetch, found, need, now_s)
                continue
            if chunks is not None:
                lane = min(lanes, key=fewest_requests)
                begins = chunks.first_lane(lane, chunk)
            chunk = min(chunk, begins.budget_tokens)
            need = -(-(chunk + ahead) // blocks.block_size)  # what it finds ends with a block
            whole = need
            if reserve or source is not None:  # what others put into a pool must not let in who was kept out
                whole = -(-(request.target_tokens + ahead) // blocks.block_size) - found
            # who is alone always fits, but where computed prompts wait here for a decode rank
            if (running or whole > room) and not self._fits(request, whole - room, found, idle, now_s):
                return
            room -= whole if reserve else need
            self._enter(request, lane, found, now_s)
            self.chunk(begins, request, chunk, need)
            if chunks is not None:
                more = chunks.extend(self, request, begins, chunk, FAR if reserve else room)
                room -= 0 if reserve else more
                need += more
            if admission is not None:
                admission.admitted(request, found, need)

    def _enter(self, request: Request, lane: Lane, found: int, now_s: float) -> None:
        """Let a request out of the queue run, holding the blocks it found cached, to decode in `lane`."""
        if self.source is not None:
            self.source.forget(request)
        if self.cache is not None:
            self.held.cached_tokens += self.cache.hold(request, found)
        self._dequeue(request, now_s)
        request.state = State.PREFILL
        request.lane = lane
        if request.scheduled_s < 0.0:
            request.scheduled_s = now_s
        self.running[request] = None
        lane.prefilling.append(request)
        self.prefills += 1

    def _fits(self, request: Request, short_blocks: int, found: int, idle: int, now_s: float) -> bool:
        """Whether the head of the queue fits beside those who run; if others make way for it, admission starts anew."""
        short_tokens = float((short_blocks + self._watermark) * self.blocks.block_size)
        if self.admission is not None:
            short_tokens = max(short_tokens, self.admission.short_tokens(request, found, idle))
        if short_tokens <= 0.0:
            return True
        if self._make_way(short_tokens, now_s):
            self._admit(now_s)
        return False

    def _make_way(self, short_tokens: float, now_s: float) -> bool:
        """Displace running requests of lower classes for the head of the queue, if enough come free; whether they did.

        As SGLang's `PrefillAdder.preempt_to_schedule`: nobody goes unless the sum covers what is short; one suffices
        where a seat is short.
        """
        threshold = self._limits.priority_preemption_threshold
        if threshold is None:
            return False
        step, size, admission = self.blocks.step, self.blocks.block_size, self.admission
        leaving = []
        for request in displaced(self.running, self._head(), threshold):
            leaving.append(request)
            held = self._blocks_held(request, step)
            short_tokens -= held * size if admission is None else admission.credit_tokens(request, held)
            if short_tokens <= 0.0:
                break
        if not leaving or short_tokens > 0.0:
            if leaving and self._retracts:  # what is short falls with the new-token ratio
                self._pressing_step = step
            return False
        for request in leaving:
            if request.state is State.PREFILL:
                for begun in self.lanes:
                    begun.budget_tokens += begun.chunk_tokens(request)
            elif request.state is State.DECODE and self._limits.enable_mixed_chunk:
                assert request.lane is not None
                request.lane.budget_tokens += self._limits.verified_tokens
            self._preempt(request, step, now_s)
        self._displaced_priority = leaving[-1].priority
        return True

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
        if self.admission is not None:
            self.admission.admitted(request, found, need)
        self.blocks.take(need)
        request.blocks += need
        if self.cache is not None:
            self.cache.make_room(self.blocks.growth())  # what the transfer will overwrite goes out before it
        source.start(request, fetch, partial(wake, self, request, request.epoch))

    def rest(self, step: int) -> bool:
        """No step is under way: everybody who is here waits for a transfer, or for room that a fetching one has.

        Returns
        -------
        Whether somebody was put back in this batch, and may wait for that alone; the next one forms at the same step.
        """
        assert not self.load or any(r.state is State.FETCH for r in self.running), "requests here, but nothing runs"
        put_back, self._preempted_step = self._preempted_step == step, -1
        return put_back

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
        lane = request.lane = min(self.lanes, key=fewest_requests)
        if request.computed_tokens < request.target_tokens:
            request.state = State.PREFILL
            request.fetch = None
            lane.prefilling.append(request)
            if len(lane.prefilling) > 1:  # oldest first, and it may have been admitted before the others
                place = {running: index for index, running in enumerate(self.running)}
                lane.prefilling.sort(key=place.__getitem__)
            self.prefills += 1
            if self._chunks is not None:
                self._chunks.add(request)
                self._chunks.sort(self.running)
        return lane

    def _preempt(self, request: Request, step: int, now_s: float) -> None:
        """Put a running request back into the queue; its tokens are computed again later.

        It goes to the head, or where its class stands. SGLang puts it at the end and forgets the KV of its output.
        """
        wasted = request.computed_tokens - request.hit_tokens
        if self.cache is not None:
            self.cache.fit(self.blocks.growth())
        stored, fetching = request.computed_tokens, request.state is State.FETCH
        if request.state is State.DECODE:
            assert request.lane is not None
            stored = request.join_context - 1 + request.lane.decoded_tokens(request, step)
            stalled_s = self.held.stalled_since_s
            if request.fetch is None:  # otherwise it has just resumed
                # a decoding sequence has put out a token at every boundary, unless prompts made it wait
                request.last_token_s = now_s if stalled_s is None else max(request.last_token_s, stalled_s)
        request.queued_s = now_s
        self.drop(request, step, keep_output=not self._retracts)
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
        if self._retracts:
            self.waiting.append(request)
        else:
            self.waiting.appendleft(request)
