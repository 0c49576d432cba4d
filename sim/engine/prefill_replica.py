"""A replica that only prefills: a completed prompt gives its first token, and its KV stays until a decode rank has it.

Blocks of such requests count as held, so admission stalls when the decode pool does not take them fast enough; their
seats are free at once. Prompts that wait for room while nothing is left to compute are the back-pressure of the decode
pool, and their time is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING

from sim.engine.lane import Lane
from sim.engine.path import Again
from sim.engine.rank import Rank
from sim.engine.replica import Replica
from sim.engine.request import Request, State

if TYPE_CHECKING:
    from sim.engine.handover import Handover
    from sim.engine.pool_totals import PoolTotals


class Hold:
    """KV of one request that a prefill rank keeps for it.

    Attributes
    ----------
    blocks, tokens : what it takes there.
    offered_s : when its token came out; `booked_s` : up to when its tokens are counted in `PoolTotals.held_token_s`.
    reserved_s : when a decode rank gave it blocks.
    """

    __slots__ = ("blocks", "booked_s", "offered_s", "rank", "replica", "request", "reserved_s", "tokens")

    def __init__(self, replica: PrefillReplica, rank: Rank, request: Request, tokens: int, now_s: float) -> None:
        self.replica = replica
        self.rank = rank
        self.request = request
        self.blocks = request.blocks
        self.tokens = tokens
        self.offered_s = self.booked_s = self.reserved_s = now_s


class PrefillRank(Rank):
    """A prefill scheduler: its requests may all wait for room that computed prompts hold."""

    __slots__ = ()

    def rest(self, step: int) -> bool:
        """No step is under way; returns whether somebody was put back in this batch."""
        put_back, self._preempted_step = self._preempted_step == step, -1
        return put_back


class PrefillReplica(Replica):
    """A replica of the prefill pool; `connect` it before it gets work.

    Attributes
    ----------
    holds : requests whose prefill is over and whose KV is here, oldest first.
    peak_tokens : most tokens stored at a step boundary since the warm-up.
    """

    rank_type = PrefillRank
    handover: Handover
    pool: PoolTotals

    def connect(self, handover: Handover, pool: PoolTotals) -> None:
        """Say who takes the requests, and where time is counted."""
        self.handover = handover
        self.pool = pool
        self.holds: dict[Request, Hold] = {}
        self.peak_tokens = 0
        self._stalled = False

    # ---- from outside -------------------------------------------------------------------------------------------

    def submit_again(self, request: Request, now: float) -> None:
        """Take a request that was preempted while it decoded: it goes before those that wait."""
        self.submit(request, now)
        assert request.rank is not None
        request.rank.move_up(request)

    def kill(self) -> list[Request]:
        """Die: requests whose KV is here are lost too, wherever they wait for it."""
        self.settle()
        away = list(self.holds)
        self._cancelled += [request for request in away if self.handover.forget(request)]
        self.holds.clear()
        self.handover.died(self, self.ranks)
        self._lose(away)
        self._forget_cancelled(away)
        lost = super().kill()
        self._stalled = False
        return [*away, *lost]

    def shrink(self, numbers: Iterable[int]) -> list[Request]:
        """Lose attention ranks, and the requests whose KV they keep, wherever they wait for it."""
        numbers = list(numbers)
        gone = {self.all_ranks[number] for number in numbers}
        if not self.up or gone.issuperset(self.ranks):
            return super().shrink(numbers)  # it dies
        self.settle()
        away = [request for request, hold in self.holds.items() if hold.rank in gone]
        self._cancelled += [request for request in away if self.handover.forget(request)]
        for request in away:
            self.release(request, transferred=False)
        self._lose(away)
        self._forget_cancelled(away)
        lost = super().shrink(numbers)
        self.handover.died(self, gone)
        return [*away, *lost]

    def release(self, request: Request, *, transferred: bool) -> None:
        """Give the blocks of a request back, because its KV has arrived elsewhere or is of no use any more."""
        now, held = self.env.now, self.held
        hold = self.holds.pop(request)
        self.book_hold(hold, now)
        rank, before, cache = hold.rank, held.cached_tokens, hold.rank.cache
        if cache is None:
            held.cached_tokens -= hold.tokens
            rank.blocks.give(hold.blocks)
        else:
            rank.blocks.advance(self.step)
            if transferred:
                cache.completed(request, hold.tokens)
            held.cached_tokens -= cache.release(request, hold.tokens, hold.blocks)
        self._gone(before - held.cached_tokens, now)
        rank.load -= 1
        self.outstanding -= 1
        if not self._stepping and any(rank.waiting for rank in self.ranks):
            self._wake()

    def _book_kv(self, token_s: float) -> None:
        super()._book_kv(token_s)
        self.pool.prefill_kv_token_s += token_s

    def book_hold(self, hold: Hold, now: float) -> None:
        """Count the time that a hold has lasted up to now."""
        self.pool.held_token_s += hold.tokens * (now - hold.booked_s)
        hold.booked_s = now

    def settle(self) -> None:
        """Account for the time up to now, of the KV kept for others too."""
        totals, pool, now = self._totals, self.pool, self.env.now
        before, counted = totals.kv_token_s, pool.prefill_kv_token_s
        super().settle()
        pool.prefill_kv_token_s = counted + totals.kv_token_s - before
        for hold in self.holds.values():
            self.book_hold(hold, now)

    # ---- the step loop ------------------------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        super()._begin(now)
        self._stalled = False

    def _rest(self, now: float) -> None:
        super()._rest(now)
        if not self._stepping:
            self._stalled = any(rank.waiting for rank in self.ranks)
            assert self.holds or not self._stalled, "requests wait for blocks that nobody will give back"

    def _idle(self, now: float) -> None:
        """Book a rest up to now, and whether requests wait for room meanwhile."""
        before = self._totals.kv_token_s
        if self._stalled:
            self.pool.stalled_s += now - self._mark_s
        super()._idle(now)
        self.pool.prefill_kv_token_s += self._totals.kv_token_s - before

    def _spend(self, now: float) -> None:
        self.pool.prefill_busy_s += now - self._mark_s
        super()._spend(now)

    def _account(self, steps: int) -> None:
        before = self._totals.kv_token_s
        super()._account(steps)
        self.pool.prefill_kv_token_s += self._totals.kv_token_s - before

    def _collect_prefills(self, now: float) -> None:
        stored = self.held.cached_tokens + self._chunk_tokens
        self.peak_tokens = max(self.peak_tokens, stored)
        super()._collect_prefills(now)

    def _decode(self, rank: Rank, lane: Lane, request: Request, step: int) -> None:  # noqa: ARG002
        """Hand a request over whose first token is out."""
        now = self.env.now
        del rank.running[request]
        request.last_token_s = now
        self.holds[request] = Hold(self, rank, request, request.target_tokens, now)
        request.blocks = 0
        self.handover.offer(request, now)

    def _withdraw(self, request: Request, now: float) -> None:
        """Give a request up; one that has left for the decode pool is given up there."""
        if request.replica is not self:
            assert request.replica is not None
            request.replica.cancel(request)
        elif request in self.holds:
            self.handover.forget(request)
            self.release(request, transferred=False)
            self._record.lost(request.generated, request.computed_tokens - request.hit_tokens)
            request.restart(Again.WITHDRAWN)
            request.state = State.BACKOFF
            self._finished(request)
        else:
            super()._withdraw(request, now)

    # ---- for the identities -------------------------------------------------------------------------------------

    def resident(self) -> tuple[Fraction, int, int]:
        """As for any replica; blocks of requests that have left are held here, and requests without a place too."""
        generated = prefilled = blocks = 0
        for rank in self.ranks:
            rank.blocks.advance(self.step)
            for request in chain(rank.running, rank.waiting):
                generated += request.generated
                prefilled += request.computed_tokens - request.hit_tokens
                blocks += request.blocks
            here = [request for request, hold in self.holds.items() if hold.rank is rank]
            blocks += sum(self.holds[request].blocks for request in here)
            if rank.cache is not None:
                blocks -= rank.cache.audit(chain(rank.running, here))
        for request in self.holds:
            if request.replica is self:
                generated += request.generated
                prefilled += request.computed_tokens - request.hit_tokens
        return Fraction(generated), prefilled, blocks
