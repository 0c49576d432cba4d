"""What the requests of one rank hold: blocks, seats in its lanes, and what becomes of them when one leaves."""

from __future__ import annotations

from sim.engine.acceptance import settle_rest
from sim.engine.admission import Admission
from sim.engine.blocks import BlockPool
from sim.engine.held import Held
from sim.engine.lane import Lane
from sim.engine.prefix_cache import PrefixCache
from sim.engine.recorder import Recorder
from sim.engine.request import Request, State


class Holdings:
    """The part of a rank that takes and frees blocks; attributes as in `sim.engine.rank.Rank`, which sets them."""

    __slots__ = ("_record", "admission", "blocks", "cache", "held", "lanes", "prefills", "running")

    _record: Recorder
    admission: Admission | None
    blocks: BlockPool
    cache: PrefixCache | None
    held: Held
    lanes: list[Lane]
    prefills: int
    running: dict[Request, None]

    def drop(self, request: Request, step: int, *, keep_output: bool = True) -> None:
        """Take a running request out of its lane and free its blocks; a cache keeps its output only if asked to."""
        if self.admission is not None and request.state is State.DECODE:
            self.admission.leaves(request, step)
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
            decoded = lane.decoded_tokens(request, step)
            stored = request.join_context - 1
            beyond = 0
            if lane.verified_tokens > 1:
                beyond = settle_rest(held, request, decoded, lane.rest_units(request, step), self._record)
            request.generated += decoded - beyond
            held.decoding -= 1
            self.blocks.advance(step)
            if self.cache is None:
                held.cached_tokens -= stored + decoded
                self.blocks.leave(request.join_step, stored, stored + decoded)
            else:
                self.blocks.stop(request.join_step, stored)
                blocks = self.blocks.blocks_of(stored + decoded)
                kept = stored + decoded - beyond
                released = self.cache.release(request, kept, blocks, keep_output=keep_output)
                held.cached_tokens -= released + beyond
            lane.leave(request, step)
        else:
            self.give(request, step)
            self.prefills -= 1
            lane.prefilling.remove(request)
            for other in self.lanes:
                if other.chunks:
                    other.chunks = [pair for pair in other.chunks if pair[0] is not request]
        request.blocks = 0

    def give(self, request: Request, step: int) -> None:
        """Free the blocks of a request that does not decode."""
        cache = self.cache
        if self.admission is not None:
            self.admission.leaves(request, step)
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

    def blocks_for(self, request: Request, tokens: int) -> int:
        """Blocks that a prompt still takes for its next `tokens`, counted from the last boundary."""
        blocks = self.blocks
        need = -(-(request.computed_tokens + tokens + blocks.lookahead_tokens) // blocks.block_size) - request.blocks
        return max(0, need)  # who has fetched holds all blocks of its prompt

    def chunk(self, lane: Lane, request: Request, chunk: int, need: int) -> None:
        """Compute `chunk` tokens of a prompt in a lane, with `need` blocks more."""
        self.blocks.take(need)
        request.blocks += need
        lane.budget_tokens -= chunk
        lane.chunks.append((request, chunk))

    def _blocks_held(self, request: Request, step: int) -> int:
        if request.state is not State.DECODE:
            return request.blocks
        assert request.lane is not None
        return self.blocks.blocks_of(request.join_context - 1 + request.lane.decoded_tokens(request, step))

    def _promised_blocks(self) -> int:
        """Blocks that the prompts under way will still take."""
        size, ahead = self.blocks.block_size, self.blocks.lookahead_tokens
        promised = 0
        for lane in self.lanes:
            for request in lane.prefilling:
                promised += -(-(request.target_tokens + ahead) // size) - request.blocks
        return promised
