"""From the prefill pool to the decode pool: who decodes a request, and when its KV is there.

A completed prompt is offered at once. The decode rank with a seat and most blocks that nobody asked for takes it into
its queue; when that rank has given it blocks, its KV crosses the fabric, and the prefill rank gives its own blocks
back when the last byte has arrived. A transfer uses the cards of both ranks, each of which serves transfers in the
order in which they were asked for; it is over when both have passed it, and a latency later it is known.

Requests that find no decode replica up wait with their KV where it is. A prefill replica that dies takes the requests
along whose KV it keeps, a decode replica all that were sent to it; their clients try again from the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from simpy import Environment

from sim.engine.decode_rank import DecodeRank
from sim.engine.decode_replica import DecodeReplica
from sim.engine.link import Link, call_at
from sim.engine.path import Again
from sim.engine.pool_totals import PoolOutcome, PoolTotals
from sim.engine.pools import DecodePool
from sim.engine.prefill_replica import PrefillReplica
from sim.engine.rank import Rank
from sim.engine.recorder import Recorder
from sim.engine.replica import Replica
from sim.engine.request import Request, State
from sim.engine.router import Router
from sim.errors import IdentityError
from sim.measure.histogram import BufferedHistogram

DECODE_WAIT, TRANSFER = "decode_wait_s", "kv_transfer_s"


class Handover:
    """What lies between the two pools.

    Parameters
    ----------
    lost : told of requests that cannot go on.

    Attributes
    ----------
    pool : counters of both pools since the start; `opened` : as they stood at the end of the warm-up.
    """

    def __init__(
        self,
        env: Environment,
        plan: DecodePool,
        prefill: Sequence[PrefillReplica],
        decode: Sequence[DecodeReplica],
        record: Recorder,
        lost: Callable[[list[Request]], None],
    ) -> None:
        self._env = env
        self._transfer = plan.transfer
        self._record = record
        self._lost = lost
        self._prefill = prefill
        self._decode = decode
        self._router: Router | None = None
        self._waiting: dict[Request, PrefillReplica] = {}
        self._keeper: dict[Request, PrefillReplica] = {}
        self.pool = PoolTotals()
        self.opened = self.pool.copy()
        for name in (DECODE_WAIT, TRANSFER):
            record.histograms[name] = BufferedHistogram()
        self._decode_wait = record.histograms[DECODE_WAIT].pending
        self._transfer_s = record.histograms[TRANSFER].pending
        self._ranks: dict[str, list[Rank]] = {
            "send": [rank for replica in prefill for rank in replica.ranks],
            "receive": [rank for replica in decode for rank in replica.ranks],
        }
        self._decode_ranks = [rank for replica in decode for rank in replica.decode_ranks()]
        self._links: dict[Rank, Link] = {}
        self._lost_s = {"send": 0.0, "receive": 0.0}
        for replica in (*prefill, *decode):
            self._connect(replica, replica.ranks)
        for sender in prefill:
            sender.connect(self, self.pool)
        for receiver in decode:
            receiver.connect(self, self.pool, plan)

    def start(self, router: Router) -> None:
        """Say who chooses a prefill replica for requests that come back."""
        self._router = router

    # ---- the way of a request -----------------------------------------------------------------------------------

    def offer(self, request: Request, now: float) -> None:
        """A prompt is computed and its KV kept: find it a decode rank."""
        keeper = request.replica
        assert isinstance(keeper, PrefillReplica)
        self._keeper[request] = keeper
        self._place(request, now)

    def _place(self, request: Request, now: float) -> None:
        best: tuple[DecodeReplica, DecodeRank] | None = None
        most: tuple[bool, int, int] | None = None
        for replica in self._decode:
            if not replica.accepts:
                continue
            step = replica.current_step()
            for rank in replica.decode_ranks():
                room = rank.room(step)
                if most is None or room > most:
                    best, most = (replica, rank), room
        if best is None:
            request.state = State.FETCH
            self._waiting[request] = self._keeper[request]
            return
        request.replica = best[0]
        best[0].take(request, best[1], now)

    def place_waiting(self) -> None:
        """A decode replica is up again: requests without one go there."""
        waiting, self._waiting = self._waiting, {}
        for request in waiting:
            self._place(request, self._env.now)

    def send(self, request: Request, now: float) -> None:
        """A decode rank has given a request its blocks: send its KV there."""
        hold = self._keeper[request].holds[request]
        hold.reserved_s = now
        assert request.rank is not None
        size = self._transfer.bytes_per_sequence + self._transfer.bytes_per_token * hold.tokens
        over_s = max(self._links[hold.rank].send(size), self._links[request.rank].send(size))
        call_at(self._env, over_s, partial(self._there, request, request.epoch, size))

    def _there(self, request: Request, epoch: int, size: float) -> None:
        if request.epoch != epoch:
            self.pool.aborted += 1
            return
        now, pool = self._env.now, self.pool
        hold = self._keeper[request].holds[request]
        pool.transfers += 1
        pool.transferred_bytes += size
        pool.transferred_tokens += hold.tokens
        if request.arrival_s >= self._record.warmup_s:
            self._decode_wait.append(hold.reserved_s - hold.offered_s)
            self._transfer_s.append(now - hold.reserved_s)
        self.release(request, transferred=True)
        replica = request.replica
        assert isinstance(replica, DecodeReplica)
        replica.arrived(request)

    def release(self, request: Request, *, transferred: bool) -> None:
        """The KV of a request is not needed any more at the rank that computed it."""
        if request in self._keeper:  # those whose KV is complete and who wait for the step boundary keep nothing there
            self._keeper.pop(request).release(request, transferred=transferred)

    def forget(self, request: Request) -> bool:
        """The rank that keeps the KV of a request lets it go by itself: nobody waits for it any more.

        Returns
        -------
        Whether the client had given it up at a decode replica.
        """
        del self._keeper[request]
        if request in self._waiting:
            del self._waiting[request]
            return False
        replica = request.replica
        assert isinstance(replica, DecodeReplica)
        return replica.forget(request)

    def _connect(self, replica: Replica, ranks: Iterable[Rank]) -> None:
        """Give ranks of a replica their cards, with nothing on its way."""
        plan = self._transfer
        rate = plan.send_bytes_per_s if isinstance(replica, PrefillReplica) else plan.receive_bytes_per_s
        for rank in ranks:
            self._links[rank] = Link(self._env, rate, plan.latency_s)

    def died(self, replica: Replica, ranks: Iterable[Rank]) -> None:
        """Ranks of a replica died: nothing more goes through their cards."""
        ranks = list(ranks)
        way = "send" if isinstance(replica, PrefillReplica) else "receive"
        self._lost_s[way] += self._used_s(ranks)
        self._connect(replica, ranks)

    def _used_s(self, ranks: Iterable[Rank]) -> float:
        """Seconds in which the cards of ranks carried KV until now."""
        links = [self._links[rank] for rank in ranks]
        return sum(link.busy_s - link.backlog_s for link in links)

    def send_back(self, request: Request, now: float) -> None:
        """A decoding request lost its KV for lack of room: it is prefilled again, before those that wait."""
        assert self._router is not None
        self.pool.sent_back += 1
        replica = self._router.choose(request)
        if replica is None:
            self._record.lost(request.generated, 0)
            request.restart(Again.FAILED)
            request.state = State.BACKOFF
            self._lost([request])
            return
        assert isinstance(replica, PrefillReplica)
        request.replica = replica
        replica.submit_again(request, now)

    # ---- for the record -----------------------------------------------------------------------------------------

    def settle(self, prefill_down_s: float, decode_down_s: float) -> None:
        """Bring the counters up to now; the replicas are settled."""
        pool = self.pool
        pool.send_s = self._lost_s["send"] + self._used_s(self._ranks["send"])
        pool.receive_s = self._lost_s["receive"] + self._used_s(self._ranks["receive"])
        pool.prefill_down_s, pool.decode_down_s = prefill_down_s, decode_down_s
        pool.decode_waiting_s = sum(rank.waited_s for rank in self._decode_ranks)

    def open(self) -> None:
        """End of the warm-up: measure from here."""
        self.opened = self.pool.copy()
        for sender in self._prefill:
            sender.peak_tokens = 0
        for receiver in self._decode:
            receiver.peak_tokens = 0

    @property
    def waiting(self) -> list[Request]:
        """Requests that no decode replica could take, because none is up."""
        return list(self._waiting)

    def outcome(self) -> PoolOutcome:
        """What is left of the run; everything is settled."""
        return PoolOutcome(
            self.pool,
            self.opened,
            max(replica.peak_tokens for replica in self._prefill),
            max(replica.peak_tokens for replica in self._decode),
        )

    def check(self) -> None:
        """Assert that every request that waits for its KV has it kept somewhere, and nothing else is kept.

        Raises
        ------
        IdentityError : it is not so.
        """
        kept = {request for replica in self._prefill for request in replica.holds}
        wanted = set(self._waiting)
        for replica in self._decode:
            complete = set(replica.complete)
            here = (request for rank in replica.ranks for request in (*rank.running, *rank.waiting))
            wanted |= {request for request in here if request.state is not State.DECODE and request not in complete}
        if kept != wanted or kept != set(self._keeper):
            raise IdentityError(
                f"identity does not hold: requests whose KV is kept = requests that wait for it: "
                f"{len(kept)} against {len(wanted)}"
            )
