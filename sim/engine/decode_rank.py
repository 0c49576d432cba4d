"""The scheduler of one attention rank that only decodes: it reserves blocks, has KV sent to them, and never prefills.

A request waits in the queue of the rank that was chosen for it until that rank has a seat and blocks for all of its
stored tokens, and still keeps `num_reserved_decode_tokens` free for each request that it holds (SGLang's rule, so that
growth does not undo admission at once). An empty rank admits any. Then its KV is fetched, and it decodes from the step
boundary after the last byte.

When growth finds no block, the newest request yields. One whose KV is still on its way goes back to the head of the
queue: its KV lies where it was. One that decodes has lost its KV and is prefilled again, prompt and output so far, in
the prefill pool. (SGLang copies the KV of such a request to host memory or has it prefilled again; vLLM computes it
again on the decode replica itself.)
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from sim.engine.held import Held
from sim.engine.lane import DecodeTable, Lane
from sim.engine.path import Again
from sim.engine.plan import EngineLimits
from sim.engine.prefix_cache import Shared
from sim.engine.rank import Rank
from sim.engine.recorder import Recorder
from sim.engine.request import Request, State

Send = Callable[[Request, float], None]
_seqs = attrgetter("seqs")


class DecodeRank(Rank):
    """One decode scheduler.

    Attributes
    ----------
    reserve_blocks : blocks kept free for each request that it holds.
    send : called with each request that was given its blocks, and the time.
    promised : blocks that the requests in the queue ask for.
    sent_back : requests preempted in the batch being formed, to be prefilled again.
    waited_s : requests in the queue x seconds, as far as booked.
    """

    __slots__ = ("promised", "reserve_blocks", "send", "sent_back", "waited_s")

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
        super().__init__(limits, table, cap_tokens, held, record, shared, wake)
        self.reserve_blocks = self.promised = 0
        self.send: Send = _nobody
        self.sent_back: list[Request] = []
        self.waited_s = 0.0

    def clear(self, step: int, now_s: float, token_s: float = 0.0) -> list[Request]:
        """Lose everything."""
        self.promised = 0
        return super().clear(step, now_s, token_s)

    def room(self, step: int) -> tuple[bool, int, int]:
        """How well one more request would be placed here: a seat, blocks that nobody asked for, fewest requests."""
        blocks = self.blocks
        if blocks.step < step:
            blocks.advance(step)
        return self.load < self._limits.max_num_seqs, blocks.free - self.promised, -self.load

    def enqueue(self, request: Request, now_s: float) -> bool:
        """Add a request to the queue; returns whether it is the first one."""
        self.promised += self._need(request)
        return super().enqueue(request, now_s)

    def _dequeue(self, request: Request, now_s: float) -> None:
        self.promised -= self._need(request)
        self.waited_s += now_s - request.queued_s
        super()._dequeue(request, now_s)

    def settle(self, now_s: float) -> None:
        """Book the time in the queue up to now."""
        for request in self.waiting:
            self.waited_s += now_s - request.queued_s
        super().settle(now_s)

    def _need(self, request: Request) -> int:
        return -(-request.target_tokens // self.blocks.block_size)

    def _admit(self, now_s: float) -> None:
        waiting, running, blocks = self.waiting, self.running, self.blocks
        while waiting and len(running) < self._limits.max_num_seqs:
            request = self._head()
            need = self._need(request)
            reserved = self.reserve_blocks * len(running) + (self._watermark if running else 0)
            if need > blocks.free - blocks.growth() - reserved:
                return
            self._dequeue(request, now_s)
            request.state = State.FETCH
            request.blocks = need
            blocks.take(need)
            running[request] = None
            self.send(request, now_s)

    def land(self, request: Request, step: int) -> Lane:  # noqa: ARG002
        """The KV of a request is complete; returns the lane in which it decodes."""
        self.held.cached_tokens += request.target_tokens
        return min(self.lanes, key=_seqs)

    def drop(self, request: Request, step: int, *, keep_output: bool = True) -> None:
        """Take a running request out and free its blocks; KV on its way arrives in vain."""
        if request.state is not State.FETCH:
            super().drop(request, step, keep_output=keep_output)
            return
        del self.running[request]
        request.epoch += 1
        self.blocks.give(request.blocks)
        request.blocks = 0

    def _preempt(self, request: Request, step: int, now_s: float) -> None:
        self._preempted_step = step
        fetching = request.state is State.FETCH
        stored = request.join_context - 1 + step - request.join_step
        if not fetching and step > request.join_step:
            stalled_s = self.held.stalled_since_s  # by a pause
            request.last_token_s = now_s if stalled_s is None else max(request.last_token_s, stalled_s)
        self.drop(request, step)
        if fetching:
            request.state = State.WAITING
            request.queued_s = now_s
            self.promised += self._need(request)
            self.waiting.appendleft(request)
            return
        self.load -= 1
        request.preemptions += 1
        path = request.path
        if path is not None:
            path.again_tokens, path.again_cause = stored, Again.PREEMPTED
        wasted = request.computed_tokens - request.hit_tokens
        request.target_tokens = request.input_tokens + request.generated
        self._record.preempted(wasted, request.target_tokens if path is None else 0)
        request.computed_tokens = request.hit_tokens = 0
        self.sent_back.append(request)


def _nobody(_request: Request, _now_s: float) -> None:
    raise AssertionError("a decode rank fetches before it was connected")
