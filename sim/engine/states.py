"""What befalls a replica: it dies and comes back, hangs, drains, slows down, pauses, loses attention ranks.

Nothing here decides that something happens: `sim.engine.conditions` calls these methods, for faults and planned work
alike. A change meets a replica inside a step; what is over by then is booked first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING

from simpy import Environment, Event

from sim.engine.acceptance import held_tokens, shared_seconds
from sim.engine.batches import Batches
from sim.engine.clock import BOUNDARY, Alarm
from sim.engine.path import Again
from sim.engine.piecewise_lane import PiecewiseLane
from sim.engine.rank import Rank
from sim.engine.request import Request, State
from sim.steptime.span import span_seconds, steps_until


class States(Batches):
    """The part of a replica that changes its state; other attributes as in `sim.engine.replica.Replica`.

    Attributes
    ----------
    up : whether it is alive, as far as anybody knows: down replicas are not, hung ones are.
    listed : whether the router has it in its list: not draining, and provisioned.
    accepts : whether it takes requests: up and listed.
    hung : whether its steps have stopped unnoticed.
    pace : steps take so many times their seconds.
    migrates : whether requests that it loses keep their output, to go on elsewhere.
    ranks, all_ranks : attention ranks that are alive, and those of design, in order.
    """

    env: Environment
    outstanding: int
    migrates: bool
    all_ranks: list[Rank]
    _finishes: dict[int, list[tuple[Request, int]]]
    _crossings: dict[int, list[tuple[Request, int]]]
    _cancelled: list[Request]

    if TYPE_CHECKING:  # of `Replica`

        def _boundary(self, event: Event) -> None: ...
        def _withdraw_all(self, now: float) -> None: ...

    def _fresh(self) -> None:
        """Up, complete, at the pace of design."""
        self.up = self.accepts = self.listed = True
        self.hung = False
        self.pace = 1.0
        self._barred = False  # no step may begin: hung, or resting through a pause
        self._paused_until_s = -inf
        self._resuming: Alarm | None = None

    # ---- down and up --------------------------------------------------------------------------------------------

    def kill(self) -> list[Request]:
        """Die now: the step under way and all KV are lost. Returns the requests that were here."""
        self.settle()
        self.up = self.accepts = self.hung = self._barred = False
        self._paused_until_s = -inf
        self._resuming = None
        self._halt()
        token_s = self._last_token_s()
        lost = [request for rank in self.ranks for request in rank.clear(self.step, self.env.now, token_s)]
        held = self.held
        held.decoding = held.cached_tokens = 0
        assert held.rest_units == 0, "rests of sequences that are gone"
        held.stalled_since_s = None
        self._marks.clear()
        self._finishes.clear()
        self._crossings.clear()
        self._landings.clear()
        if self._stall is not None:
            self._stall.clear()
        self.outstanding = 0
        self._lose(lost)
        self._cancelled.clear()
        return lost

    def revive(self) -> None:
        """Serve again: empty, all ranks complete, at the pace of design."""
        self._fresh()
        self._mark_s = self.env.now
        self.grow(range(len(self.all_ranks)))

    def _halt(self) -> None:
        """Whatever step is under way never ends."""
        self._alarm = Alarm(self.env, BOUNDARY, self._boundary)  # the old one rings in vain
        self._stepping = self._prefilling = False
        self._planned = 0
        self._kv_part_s = self._late_s = 0.0
        self._chunked.clear()
        for _, lane in self._lanes:
            lane.chunks.clear()

    def _last_token_s(self) -> float:
        """When decoding sequences put out their last token: at the boundary before, unless something held them up."""
        stalled_s = self.held.stalled_since_s
        return self._start_s if stalled_s is None else stalled_s

    def _lose(self, requests: Sequence[Request]) -> None:
        """The work of requests that were here is gone; who may go on elsewhere, with its output, is left WAITING."""
        given_up = set(self._cancelled)
        for request in requests:
            wasted = request.computed_tokens - request.hit_tokens
            if self.migrates and request not in given_up:
                self._record.lost(0, wasted)
                request.uproot()
                request.state = State.WAITING
            else:
                self._record.lost(request.generated, wasted)
                request.restart(Again.FAILED)
                request.state = State.BACKOFF

    # ---- hang, drain, pace, pause -------------------------------------------------------------------------------

    def hang(self) -> None:
        """Stop stepping, without anybody noticing: the step under way never ends, requests still come.

        Clients that give up are gone at once, since no step boundary comes.
        """
        if not self.up or self.hung:
            return
        self.settle()
        self.held.stalled_since_s = self._last_token_s() if self.held.decoding else None
        self._halt()
        self.hung = self._barred = True
        self._withdraw_all(self.env.now)

    def drain(self) -> None:
        """Take no new requests; those that are here go on."""
        if self.up:
            self.listed = self.accepts = False

    def admit(self) -> None:
        """Take requests again, with all that is here."""
        if self.up:
            self.listed = self.accepts = True

    def set_pace(self, factor: float) -> None:
        """Let steps take `factor` times their seconds, from the next step boundary on."""
        if self.up:
            self.pace = factor
            if self._stepping and self._planned > 1:
                self._cut()

    def pause(self, seconds: float) -> None:
        """Begin no step for `seconds`; the one under way ends. A longer pause swallows a shorter one."""
        until_s = self.env.now + seconds
        if not self.up or self.hung or until_s <= self._paused_until_s:
            return
        self.settle()
        self._paused_until_s = until_s
        if not self._stepping:
            self._hold(self.env.now)
        elif self._planned > 1:
            self._cut()

    def _hold(self, now: float) -> None:
        """Rest from this step boundary, or this idle instant, until the pause is over."""
        if self._barred:
            return  # the end of the first pause finds that it was prolonged
        if self._stepping:
            self._stepping = self._prefilling = False
            self._planned = self._chunk_tokens = 0
            if self.held.decoding and self.held.stalled_since_s is None:
                self.held.stalled_since_s = now
        self._barred = True
        self._resume_later()

    def _resume_later(self) -> None:
        self._resuming = Alarm(self.env, BOUNDARY, self._resume)
        self._resuming.set(self._paused_until_s)

    def _resume(self, event: Event) -> None:
        if event is not self._resuming:
            return  # the replica hung or died meanwhile
        now = self.env.now
        if now < self._paused_until_s:
            self._resume_later()
            return
        self._resuming = None
        self._barred = False
        stalled_s = self.held.stalled_since_s
        if self._stall is None and stalled_s is not None:
            self._late_s = now - stalled_s
        if self._landings.waiting or any(rank.load for rank in self.ranks):
            self._begin(now)

    # ---- ranks lost and regained --------------------------------------------------------------------------------

    def shrink(self, numbers: Iterable[int]) -> list[Request]:
        """Lose attention ranks with all that is on them; returns their requests. Without ranks a replica is dead.

        The others finish the step under way, and go on without them from the next step boundary.
        """
        gone = [self.all_ranks[number] for number in sorted(set(numbers))]
        gone = [rank for rank in gone if rank in self.ranks]
        if not self.up or not gone:
            return []
        if len(gone) == len(self.ranks):
            return self.kill()
        self.settle()
        now, held = self.env.now, self.held
        token_s, before = self._last_token_s(), held.cached_tokens
        lost: list[Request] = []
        for rank in gone:
            decoding, cached_tokens = rank.stored(self.step)
            self._chunk_tokens -= sum(tokens for lane in rank.lanes for _, tokens in lane.chunks)
            lost += rank.clear(self.step, now, token_s)
            held.decoding -= decoding
            held.cached_tokens -= cached_tokens
        self._gone(before - held.cached_tokens, now)
        self._set_ranks([rank for rank in self.ranks if rank not in gone])
        self._chunked = [pair for pair in self._chunked if pair[0] not in gone]
        self.outstanding -= len(lost)
        self._lose(lost)
        self._forget_cancelled(lost)
        self._wake()
        return lost

    def grow(self, numbers: Iterable[int]) -> None:
        """Have attention ranks back, empty; the step under way ends without them, also where it is one of a span."""
        back = {self.all_ranks[number] for number in numbers}.difference(self.ranks)
        if not self.up or not back:
            return
        for rank in back:
            rank.clear(self._current_step(), self.env.now)
        self._set_ranks([rank for rank in self.all_ranks if rank in back or rank in self.ranks])
        if self._stepping and self._planned > 1:
            self._cut()

    def _set_ranks(self, ranks: list[Rank]) -> None:
        self.ranks = ranks
        self._lanes = [(rank, lane) for rank in ranks for lane in rank.lanes]
        self._batches = [lane for _, lane in self._lanes]
        self._kinked = [lane for lane in self._batches if isinstance(lane, PiecewiseLane)]
        self._shared_s = shared_seconds(self.limits, self._law, self._batches, len(ranks))
        if self._pipeline is not None:
            self._pipeline.serve(len(ranks), self._shared_s)

    def _forget_cancelled(self, lost: Iterable[Request]) -> None:
        """Those who are gone need not be withdrawn any more."""
        gone = set(lost)
        self._cancelled = [request for request in self._cancelled if request not in gone]

    def _gone(self, tokens: int, now: float) -> None:
        """Book cached tokens that went now: the step under way, or the rest, is booked at its end with what is left."""
        self._book_kv(tokens * (now - (self._start_s if self._stepping else self._mark_s)))

    def _book_kv(self, token_s: float) -> None:
        self._totals.kv_token_s += token_s

    # ---- time ---------------------------------------------------------------------------------------------------

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
            if not self._barred:
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
