"""One replica: its ranks step in lockstep, and n steps between changes are one event.

The replica keeps a global step counter. Finishes and cap crossings are marked in buckets by step, so a step looks only
at what happens in it. When no prompt is under way, the next mark, the next KV check and the next change of the slowest
lane bound a span of steps; its duration is the closed form of `sim.steptime.span`. An arrival inside a span cuts it at
the next step boundary.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from heapq import heappop, heappush
from operator import attrgetter

from simpy import Environment, Event

from sim.engine.clock import BOUNDARY, Alarm
from sim.engine.content import Content
from sim.engine.held import Held
from sim.engine.landings import Landings
from sim.engine.lane import DecodeTable, Lane
from sim.engine.path import Again
from sim.engine.pipeline import Pipeline
from sim.engine.plan import EngineLimits
from sim.engine.prefix_cache import Shared
from sim.engine.rank import Rank
from sim.engine.recorder import Recorder
from sim.engine.request import Request, State
from sim.engine.resident import resident
from sim.engine.stall import Stall
from sim.engine.states import States
from sim.steptime.law import StepLaw

_load = attrgetter("load")


class Replica(States):
    """A lockstep group of ranks serving one copy of the model.

    Attributes
    ----------
    index : position in the cluster.
    outstanding : requests sent here and not finished; what the router looks at.
    caching : whether its ranks have prefix caches.
    step : index of the next step (or of the first step of the span under way).
    """

    rank_type = Rank

    def __init__(
        self,
        env: Environment,
        index: int,
        limits: EngineLimits,
        law: StepLaw,
        record: Recorder,
        finished: Callable[[Request], None],
        coalesce: bool = True,
        shared: Shared | None = None,
        migrates: bool = False,
    ) -> None:
        self.env = env
        self.index = index
        self.migrates = migrates
        self._fresh()
        self.limits = limits
        self.outstanding = 0
        self.step = 0
        self.held = Held()
        self._law = law
        self._record = record
        self._totals = record.totals
        self._finished = finished
        self._coalesce = coalesce
        self.caching = shared is not None
        self._shared = shared
        self._drafts = limits.num_speculative_tokens
        stages = limits.pipeline_parallel_size
        self._pipeline = Pipeline(stages) if stages > 1 else None
        table = DecodeTable(law, limits)
        cap = law.attention_cap_tokens
        size = range(limits.data_parallel_size)
        self.ranks = [self.rank_type(limits, table, cap, self.held, record, shared, self._arrived) for _ in size]
        self.all_ranks = list(self.ranks)
        self._stall = None if limits.enable_mixed_chunk else Stall(self.held, record)
        self._looks_ahead = self.ranks[0].admission is not None
        self._set_ranks(self.ranks)
        self._marks: list[int] = []
        self._finishes: dict[int, list[tuple[Request, int]]] = {}
        self._crossings: dict[int, list[tuple[Request, int]]] = {}
        self._cancelled: list[Request] = []
        self._chunked: list[tuple[Rank, Lane]] = []
        self._landings = Landings(record)
        self._alarm = Alarm(env, BOUNDARY, self._boundary)
        self._stepping = False
        self._prefilling = False
        self._planned = 0
        self._start_s = 0.0
        self._mark_s = 0.0
        self._kv_part_s = 0.0
        self._chunk_tokens = 0
        self._first_s = 0.0
        self._slope_s = 0.0
        self._bubble_s = self._bubble_slope_s = 0.0
        self._late_s = 0.0

    # ---- from outside -------------------------------------------------------------------------------------------

    def submit(self, request: Request, now: float) -> None:
        """Take a request; it can join the batch that forms at the next step boundary."""
        ranks = self.ranks
        if len(ranks) == 1:
            rank = ranks[0]
        elif self.caching:
            rank = self._familiar(request)
        else:
            rank = min(ranks, key=_load)
        self.outstanding += 1
        if rank.enqueue(request, now) or not self._stepping:
            self._wake()

    def cancel(self, request: Request) -> None:
        """Drop a request at the next step boundary, because the client gave up; its work is lost.

        The client hears of it through `finished`, with state BACKOFF, unless the request completes first. Where no
        step may begin it is dropped at once.
        """
        self._cancelled.append(request)
        if self._barred:
            self._withdraw_all(self.env.now)
        else:
            self._wake()  # where nothing steps, it waits for a transfer, its own or that of others

    def _arrived(self, rank: Rank, request: Request, epoch: int) -> None:
        """A transfer is over; its request goes on at the next step boundary, unless it left meanwhile."""
        if request.epoch == epoch:
            self._landings.waiting.append((rank, request, epoch))
            self._wake()

    def cached_blocks(self, request: Request) -> int:
        """Leading blocks of a request that the best of the ranks has cached now."""
        step = self._current_step()
        content, most = self._sought(request)
        return max(rank.cached_blocks(content, most, step) for rank in self.ranks)

    def _sought(self, request: Request) -> tuple[Content, int]:
        """(content of a request, blocks that it could find at best)."""
        assert self._shared is not None
        path = request.path or self._shared.path(request)
        return path.content, (request.target_tokens - 1) // self.limits.block_size

    def _familiar(self, request: Request) -> Rank:
        """The rank with most of the request cached, among those not much busier than the least loaded one."""
        step = self._current_step()
        content, most = self._sought(request)
        most_load = min(map(_load, self.ranks)) + self.limits.affinity_guard
        best, most_blocks, least_load = self.ranks[0], -1, 0
        for rank in self.ranks:
            load = rank.load
            if load <= most_load:
                blocks = rank.cached_blocks(content, most, step)
                if blocks > most_blocks or (blocks == most_blocks and load < least_load):
                    best, most_blocks, least_load = rank, blocks, load
        return best

    # ---- the step loop ------------------------------------------------------------------------------------------

    def _boundary(self, event: Event) -> None:
        if event is not self._alarm:
            return  # the span was cut, or the replica died
        now = self.env.now
        self._totals.boundaries += 1
        self._spend(now)
        if self._planned:
            self._account(self._planned)
        if self._prefilling:
            self._collect_prefills(now)
        elif self.held.cached_tokens > self._record.kv_peak_tokens:
            self._record.kv_peak_tokens = self.held.cached_tokens
        step = self.step
        marks = self._marks
        while marks and marks[0] <= step:
            mark = heappop(marks)
            if mark in self._crossings:
                self._cross(mark)
            if mark in self._finishes:
                self._finish(mark, now)
        if self._cancelled:
            self._withdraw_all(now)
        if self._landings.waiting:
            for rank, lane, request in self._landings.decoding(step):
                self._decode(rank, lane, request, step)
        if now < self._paused_until_s:
            self._hold(now)
        else:
            self._plan(now)

    def _collect_prefills(self, now: float) -> None:
        """Book the chunks of the step that ended; completed prompts emit their first token and begin to decode."""
        step, held, record, caching = self.step, self.held, self._record, self.caching
        self._totals.prefilled_tokens += self._chunk_tokens
        held.cached_tokens += self._chunk_tokens
        if held.cached_tokens > record.kv_peak_tokens:  # noqa: PLR1730 - a call costs more than the rest of the line
            record.kv_peak_tokens = held.cached_tokens
        for rank, lane in self._chunked:
            chunks, lane.chunks = lane.chunks, []
            for request, tokens in chunks:
                request.computed_tokens += tokens
                if caching:
                    rank.store(request, step)
                if request.computed_tokens == request.target_tokens:
                    home = request.lane
                    assert home is not None
                    home.prefilling.remove(request)
                    rank.prefills -= 1
                    self._first_token(rank, home, request, step, now)
                    if home is not lane and self._pipeline is not None and request.state is State.DECODE:
                        self._pipeline.joined(home.slot, lane.slot)
        self._chunked.clear()

    def _first_token(self, rank: Rank, lane: Lane, request: Request, step: int, now: float) -> None:
        """The token that a completed prefill emits; then the request decodes, if it wants more."""
        self._totals.emitted_tokens += 1
        if request.generated == 0:
            request.first_token_s = now
        else:
            self._record.gap(now - request.last_token_s)
        request.generated += 1
        if request.generated == request.output_tokens:
            del rank.running[request]
            rank.give(request, step)
            self._complete(rank, request, now)
            return
        self._decode(rank, lane, request, step)

    def _decode(self, rank: Rank, lane: Lane, request: Request, step: int) -> None:
        """A request whose tokens are all stored, but the last generated one, decodes from `step` on."""
        stored = request.target_tokens
        request.state = State.DECODE
        # boundary at which the last token is out
        finish = step + lane.decode_steps(request.output_tokens - request.generated)
        rank.blocks.advance(step)
        rank.blocks.join(step, stored)
        rank.safe_until = step
        if self._stall is not None:
            self._stall.joins(request, self.env.now)
        if rank.admission is not None:
            rank.admission.decodes(request, step)
        self.held.decoding += 1
        cross = lane.join(request, step, stored + 1)
        self._mark(self._finishes, finish, request)
        if 0 <= cross <= finish:  # at `finish` too: it leaves as one that has crossed
            self._mark(self._crossings, cross, request)

    def _mark(self, bucket: dict[int, list[tuple[Request, int]]], step: int, request: Request) -> None:
        pair = (request, request.epoch)
        if step in bucket:
            bucket[step].append(pair)
        else:
            bucket[step] = [pair]
            heappush(self._marks, step)

    def _cross(self, step: int) -> None:
        for request, epoch in self._crossings.pop(step):
            if request.epoch == epoch:
                assert request.lane is not None
                request.lane.cross(request, step)

    def _finish(self, step: int, now: float) -> None:
        for request, epoch in self._finishes.pop(step):
            if request.epoch == epoch:
                rank = request.rank
                assert rank is not None
                rank.drop(request, step)
                self._complete(rank, request, now)

    def _complete(self, rank: Rank, request: Request, now: float) -> None:
        rank.load -= 1
        request.epoch += 1
        request.state = State.COMPLETED
        self.outstanding -= 1
        if rank.cache is not None:
            rank.cache.completed(request)
        self._record.completed(request, now)
        self._finished(request)

    def _withdraw_all(self, now: float) -> None:
        """Drop everybody whose client gave up."""
        cancelled, self._cancelled = self._cancelled, []
        for request in cancelled:
            if State.WAITING <= request.state <= State.DECODE:
                self._withdraw(request, now)

    def _withdraw(self, request: Request, now: float) -> None:
        rank = request.rank
        assert rank is not None
        self.outstanding -= 1
        rank.remove(request, self.step, now)
        self._record.lost(request.generated, request.computed_tokens - request.hit_tokens)
        request.restart(Again.WITHDRAWN)
        request.state = State.BACKOFF
        self._finished(request)

    # ---- for the identities -------------------------------------------------------------------------------------

    def resident(self) -> tuple[Fraction, int, int]:
        """(generated, prefilled tokens, blocks that should be held) of the requests here, counted one by one."""
        return resident(self.ranks, self.step, self.limits)
