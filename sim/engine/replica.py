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

from sim.engine.acceptance import held_tokens, shared_seconds
from sim.engine.books import Books
from sim.engine.clock import BOUNDARY, Alarm
from sim.engine.held import Held
from sim.engine.landings import Landings
from sim.engine.lane import DecodeTable, Lane
from sim.engine.overtaking import until_overtaken
from sim.engine.path import Again
from sim.engine.piecewise_lane import PiecewiseLane, steps_to_knot
from sim.engine.pipeline import Pipeline
from sim.engine.plan import EngineLimits
from sim.engine.prefix_cache import Shared
from sim.engine.rank import Rank
from sim.engine.recorder import Recorder
from sim.engine.request import Request, State
from sim.engine.resident import resident
from sim.engine.stall import Stall
from sim.steptime.law import StepLaw
from sim.steptime.span import span_seconds, steps_until

FAR = 1 << 60
_load = attrgetter("load")


class Replica(Books):
    """A lockstep group of ranks serving one copy of the model.

    Attributes
    ----------
    index : position in the cluster.
    up : whether it takes requests.
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
    ) -> None:
        self.env = env
        self.index = index
        self.limits = limits
        self.up = True
        self.outstanding = 0
        self.step = 0
        self.held = Held()
        self._law = law
        self._record = record
        self._totals = record.totals
        self._finished = finished
        self._coalesce = coalesce
        self.caching = shared is not None
        self._drafts = limits.num_speculative_tokens
        stages = limits.pipeline_parallel_size
        self._pipeline = Pipeline(stages, limits.data_parallel_size, law) if stages > 1 else None
        table = DecodeTable(law, limits)
        cap = law.attention_cap_tokens
        size = range(limits.data_parallel_size)
        self.ranks = [self.rank_type(limits, table, cap, self.held, record, shared, self._arrived) for _ in size]
        self._stall = None if limits.enable_mixed_chunk else Stall(self.held, record)
        self._looks_ahead = self.ranks[0].admission is not None
        self._lanes = [(rank, lane) for rank in self.ranks for lane in rank.lanes]
        self._batches = [lane for _, lane in self._lanes]
        self._kinked = [lane for lane in self._batches if isinstance(lane, PiecewiseLane)]
        self._shared_s = shared_seconds(limits, law, self._batches)
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

        The client hears of it through `finished`, with state BACKOFF, unless the request completes first.
        """
        self._cancelled.append(request)
        self._wake()  # where nothing steps, it waits for a transfer, its own or that of others

    def _arrived(self, rank: Rank, request: Request, epoch: int) -> None:
        """A transfer is over; its request goes on at the next step boundary, unless it left meanwhile."""
        if request.epoch == epoch:
            self._landings.waiting.append((rank, request, epoch))
            self._wake()

    def kill(self) -> list[Request]:
        """Die now: the step under way and all KV are lost. Returns the requests that were here."""
        self.settle()
        self.up = False
        self._alarm = Alarm(self.env, BOUNDARY, self._boundary)  # the old one rings in vain
        self._stepping = self._prefilling = False
        self._planned = 0
        self._kv_part_s = 0.0
        lost = [request for rank in self.ranks for request in rank.clear(self.step, self.env.now)]
        self.held.decoding = self.held.cached_tokens = 0
        assert self.held.rest_units == 0, "rests of sequences that are gone"
        self._marks.clear()
        self._finishes.clear()
        self._crossings.clear()
        self._cancelled.clear()
        self._chunked.clear()
        self._landings.clear()
        if self._stall is not None:
            self._stall.clear()
        self.outstanding = 0
        for request in lost:
            self._record.lost(request.generated, request.computed_tokens - request.hit_tokens)
            request.restart(Again.FAILED)
        return lost

    def revive(self) -> None:
        """Serve again, empty."""
        self.up = True
        self._mark_s = self.env.now

    def cached_blocks(self, request: Request) -> int:
        """Leading blocks of a request that the best of the ranks has cached now."""
        step = self._current_step()
        return max(rank.cached_blocks(request, step) for rank in self.ranks)

    def _familiar(self, request: Request) -> Rank:
        """The rank with most of the request cached, among those not much busier than the least loaded one."""
        step = self._current_step()
        most_load = min(map(_load, self.ranks)) + self.limits.affinity_guard
        best, most_blocks, least_load = self.ranks[0], -1, 0
        for rank in self.ranks:
            load = rank.load
            if load <= most_load:
                blocks = rank.cached_blocks(request, step)
                if blocks > most_blocks or (blocks == most_blocks and load < least_load):
                    best, most_blocks, least_load = rank, blocks, load
        return best

    def _current_step(self) -> int:
        """The step under way, or the next one."""
        elapsed = self.env.now - self._start_s
        if self._planned > 1 and elapsed > self._first_s:
            return self.step + min(steps_until(elapsed, self._first_s, self._slope_s), self._planned) - 1
        return self.step

    def settle(self) -> None:
        """Account for the time, and for all whole steps, up to now; the step under way goes on."""
        now, totals = self.env.now, self._record.totals
        if not self._stepping:
            if self.up:
                self._idle(now)
                for rank in self.ranks:
                    rank.settle(now)
            return
        self._spend(now)
        elapsed = now - self._start_s
        if self._planned > 1 and elapsed > self._first_s:
            # a step that would end at this very instant is not over
            done = steps_until(elapsed, self._first_s, self._slope_s) - 1
            if done < self._planned:
                self._account(done)
        cached_tokens = self.held.cached_tokens
        if self._planned:
            part_s = held_tokens(self.held, self.limits) * (now - self._start_s)
            totals.kv_token_s += part_s - self._kv_part_s
            self._kv_part_s = part_s
        self._record.kv_peak_tokens = max(self._record.kv_peak_tokens, cached_tokens)
        for rank in self.ranks:
            rank.settle(now)

    # ---- the step loop ------------------------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        """Leave idleness at this instant's step boundary, after all its arrivals."""
        self._stepping = True
        if self._pipeline is not None:
            self._pipeline.reset()
        self._idle(now)
        self._start_s = now
        self._planned = 0
        self._alarm.set(now)

    def _wake(self) -> None:
        """Have a step boundary as soon as possible."""
        if not self._stepping:
            self._begin(self.env.now)
        elif self._planned > 1:
            self._cut()

    def _cut(self) -> None:
        """End the span under way at the next step boundary."""
        elapsed = self.env.now - self._start_s
        steps = steps_until(elapsed, self._first_s, self._slope_s) if elapsed > 0.0 else 1
        if steps < self._planned:
            self._planned = steps
            self._alarm = Alarm(self.env, BOUNDARY, self._boundary)  # the old one rings in vain
            self._alarm.set(max(self.env.now, self._start_s + span_seconds(steps, self._first_s, self._slope_s)))

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
            cancelled, self._cancelled = self._cancelled, []
            for request in cancelled:
                if State.WAITING <= request.state <= State.DECODE:
                    self._withdraw(request, now)
        if self._landings.waiting:
            for rank, lane, request in self._landings.decoding(step):
                self._decode(rank, lane, request, step)
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

    def _withdraw(self, request: Request, now: float) -> None:
        rank = request.rank
        assert rank is not None
        self.outstanding -= 1
        rank.remove(request, self.step, now)
        self._record.lost(request.generated, request.computed_tokens - request.hit_tokens)
        request.restart(Again.WITHDRAWN)
        request.state = State.BACKOFF
        self._finished(request)

    # ---- what comes next ----------------------------------------------------------------------------------------

    def _plan(self, now: float) -> None:
        """Form the batch of the next step, and say how many steps it lasts."""
        step = self.step
        safe = FAR
        for rank in self.ranks:
            if rank.safe_until <= step:
                rank.grow(step, now)
            if rank.waiting or rank.prefills:
                rank.schedule(step, now)
            if rank.safe_until < safe:  # noqa: PLR1730 - a call costs more than the rest of the line
                safe = rank.safe_until
        for kinked in self._kinked:
            kinked.reach(step)
        slowest_s = slope_s = 0.0
        total_tokens = most_tokens = chunk_tokens = 0
        for pair in self._lanes:
            lane = pair[1]
            if lane.changed:
                lane.refresh()
            tokens = lane.tokens
            if lane.chunks:
                self._chunked.append(pair)
                seconds, chunked = self._mixed(lane, step)
                slope = 0.0
                chunk_tokens += chunked
                tokens = tokens + chunked if self._stall is None else chunked
            elif tokens:
                slope = lane.slope_s
                seconds = lane.first_s + (step - lane.step) * slope
            else:
                continue
            if self._pipeline is not None:
                self._pipeline.add(lane, tokens, seconds, slope)
            total_tokens += tokens
            if tokens > most_tokens:  # noqa: PLR1730 - a call costs more than the rest of the line
                most_tokens = tokens
            if seconds > slowest_s or (seconds == slowest_s and slope > slope_s):
                slowest_s, slope_s = seconds, slope
        prefilling = self._prefilling = chunk_tokens > 0
        self._chunk_tokens = chunk_tokens
        if total_tokens == 0:
            self._rest(now)
            return
        if prefilling and self._stall is not None:
            self._stall.begins(now)
        self._start_s = now
        self._slope_s = slope_s = 0.0 if prefilling else slope_s
        self._first_s = duration_s = self._seconds(slowest_s, total_tokens, most_tokens)
        steps = 1
        if self._coalesce and not prefilling:
            steps = self._steps_alike(step, min(self._marks[0], safe) - step, slowest_s, slope_s)
            if steps > 1:
                duration_s = span_seconds(steps, duration_s, slope_s)
        self._planned = steps
        self._alarm.set(now + duration_s)

    def _rest(self, now: float) -> None:
        """Nobody computes; who was put back in this batch must not wait for a transfer because of that."""
        put_back = [rank.rest(self.step) for rank in self.ranks]
        if any(put_back):
            self._plan(now)  # the scheduler runs again at once, as vLLM's loop does after an empty batch
        else:
            self._stepping = False

    def _seconds(self, slowest_s: float, total_tokens: int, most_tokens: int) -> float:
        """Duration of the step being planned, whose slowest lane takes `slowest_s`."""
        pipeline = self._pipeline
        if pipeline is None:
            return slowest_s + self._shared_s(total_tokens, most_tokens, self._prefilling)
        if self._prefilling:
            seconds, self._bubble_s = pipeline.mixed_round(self.step, self._start_s)
            self._bubble_slope_s = 0.0
            return seconds
        seconds = slowest_s + self._law.shared_s(pipeline.fullest_tokens, most_tokens, prefill=False)
        self._bubble_s, self._bubble_slope_s = pipeline.decode_round(seconds, self._slope_s)
        return seconds

    def _mixed(self, lane: Lane, step: int) -> tuple[float, int]:
        """(lane seconds, prompt tokens) of a step with prompt chunks."""
        seqs, ahead = lane.seqs if self._stall is None else 0, step - lane.step
        tokens = 0
        chunks = []
        for request, chunk in lane.chunks:
            tokens += chunk
            before = request.computed_tokens
            if lane.earlier:
                before += lane.earlier.get(request, 0)
            chunks.append((chunk, before))
        if not seqs:  # nobody decodes here, or those who do wait for the prompts
            return self._law.mixed_s(0, 0, 0, any_above=False, prefills=chunks), tokens
        context_tokens, capped_tokens = lane.context_units, lane.capped_units
        if ahead:
            ahead *= lane.units_per_step
            context_tokens += ahead * seqs
            capped_tokens += ahead * lane.below
        if self._drafts:  # whole tokens
            context_tokens //= lane.units_per_token
            capped_tokens //= lane.units_per_token
        return self._law.mixed_s(seqs, context_tokens, capped_tokens, lane.above > 0, chunks), tokens

    def _steps_alike(self, step: int, steps: int, slowest_s: float, slope_s: float) -> int:
        """Of `steps` steps without a mark, those before another lane is the slowest or a queue may move."""
        if self._looks_ahead:
            for rank in self.ranks:
                if rank.waiting:
                    steps = rank.steps_until_admission(step, steps)
        if steps > 1 and len(self._lanes) > 1:
            steps = until_overtaken(self._batches, step, steps, slowest_s, slope_s)
        return steps_to_knot(self._kinked, step, steps) if self._kinked else steps

    # ---- for the identities -------------------------------------------------------------------------------------

    def resident(self) -> tuple[Fraction, int, int]:
        """(generated, prefilled tokens, blocks that should be held) of the requests here, counted one by one."""
        return resident(self.ranks, self.step, self.limits)
