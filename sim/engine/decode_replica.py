"""A replica that only decodes: its ranks have KV sent to them by the prefill pool."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sim.engine.decode_rank import DecodeRank
from sim.engine.pools import DecodePool
from sim.engine.rank import Rank
from sim.engine.replica import Replica
from sim.engine.request import Request, State

if TYPE_CHECKING:
    from sim.engine.handover import Handover
    from sim.engine.pool_totals import PoolTotals


class DecodeReplica(Replica):
    """A replica of the decode pool; `connect` it before it gets work.

    Attributes
    ----------
    peak_tokens : most tokens stored at a step boundary since the warm-up.
    """

    rank_type = DecodeRank
    handover: Handover
    pool: PoolTotals

    def connect(self, handover: Handover, pool: PoolTotals, plan: DecodePool) -> None:
        """Say who sends KV, and where time is counted."""
        self.handover = handover
        self.pool = pool
        self.peak_tokens = 0
        for rank in self.decode_ranks():
            rank.reserve_blocks = -(-plan.num_reserved_decode_tokens // plan.limits.block_size)
            rank.send = handover.send

    def decode_ranks(self) -> list[DecodeRank]:
        """Its ranks, by their own type."""
        return [rank for rank in self.ranks if isinstance(rank, DecodeRank)]

    # ---- from outside -------------------------------------------------------------------------------------------

    def current_step(self) -> int:
        """The step under way, or the next one."""
        return self._current_step()

    def take(self, request: Request, rank: DecodeRank, now: float) -> None:
        """Queue a request at a rank; it may be given blocks at the next step boundary."""
        self.outstanding += 1
        if rank.enqueue(request, now) or not self._stepping:
            self._wake()

    def arrived(self, request: Request) -> None:
        """The KV of a request is complete; it decodes from the next step boundary on."""
        assert request.rank is not None
        self._arrived(request.rank, request, request.epoch)

    @property
    def complete(self) -> list[Request]:
        """Requests whose KV is complete, and who wait for the step boundary."""
        return [request for _, request, epoch in self._landings.waiting if request.epoch == epoch]

    def forget(self, request: Request) -> bool:
        """Drop a request now, because its KV is lost at the other end; it does not decode yet.

        Returns
        -------
        Whether its client had given it up.
        """
        now = self.env.now
        assert request.rank is not None
        if given_up := request in self._cancelled:
            self._cancelled.remove(request)
        self.outstanding -= 1
        request.rank.remove(request, self._current_step(), now)
        self._wake()
        return given_up

    def kill(self) -> list[Request]:
        """Die: all requests here are lost, those that wait for room or for their KV too."""
        self.settle()
        self._release(self.ranks)
        lost = super().kill()
        self.handover.died(self, self.ranks)
        return lost

    def shrink(self, numbers: Iterable[int]) -> list[Request]:
        """Lose attention ranks, and all requests sent to them, those that wait for room or for their KV too."""
        numbers = list(numbers)
        gone = {self.all_ranks[number] for number in numbers}
        if not self.up or gone.issuperset(self.ranks):
            return super().shrink(numbers)  # it dies
        self.settle()
        self._release(gone.intersection(self.ranks))
        lost = super().shrink(numbers)
        self.handover.died(self, gone)
        return lost

    def _release(self, ranks: Iterable[Rank]) -> None:
        """Let KV go that other replicas keep for requests here."""
        for rank in ranks:
            for request in (*rank.running, *rank.waiting):
                if request.state is not State.DECODE:
                    self.handover.release(request, transferred=False)

    def admit(self) -> None:
        """Take requests again, those among them that found no decode replica."""
        super().admit()
        if self.accepts:
            self.handover.place_waiting()

    def revive(self) -> None:
        """Serve again, and take requests that found no decode replica."""
        super().revive()
        self.handover.place_waiting()

    def _book_kv(self, token_s: float) -> None:
        super()._book_kv(token_s)
        self.pool.decode_kv_token_s += token_s

    def settle(self) -> None:
        """Account for the time up to now."""
        totals, pool = self._totals, self.pool
        before, counted = totals.kv_token_s, pool.decode_kv_token_s
        super().settle()
        pool.decode_kv_token_s = counted + totals.kv_token_s - before

    # ---- the step loop ------------------------------------------------------------------------------------------

    def _spend(self, now: float) -> None:
        self.pool.decode_busy_s += now - self._mark_s
        super()._spend(now)

    def _account(self, steps: int) -> None:
        before = self._totals.kv_token_s
        super()._account(steps)
        self.pool.decode_kv_token_s += self._totals.kv_token_s - before
        self.peak_tokens = max(self.peak_tokens, self.held.cached_tokens)

    def _plan(self, now: float) -> None:
        """Form the batch of the next step; who was preempted goes back to be prefilled."""
        super()._plan(now)
        for rank in self.decode_ranks():
            if rank.sent_back:
                sent_back, rank.sent_back = rank.sent_back, []
                self.outstanding -= len(sent_back)
                for request in sent_back:
                    self.handover.send_back(request, now)

    def _withdraw(self, request: Request, now: float) -> None:
        """Give a request up; KV that was kept for it elsewhere is of no use any more."""
        if request.state is not State.DECODE:
            self.handover.release(request, transferred=False)
        super()._withdraw(request, now)
