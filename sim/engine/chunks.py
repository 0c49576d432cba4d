"""How prompts fill the microbatches of a pipeline: chunk k+1 of a prompt follows right behind chunk k.

A round gives every microbatch (lane) its token budget. A prompt takes what is left of the budgets of successive lanes,
oldest prompt first, as vLLM's batch queue and SGLang's chunked pipeline parallelism schedule it: computing a chunk
needs no token back from the chunk before it, only the pipeline's order. Decoding does, so a sequence decodes in one
lane only: the one with fewest requests when it was admitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim.engine.lane import Lane
from sim.engine.request import Request, State

if TYPE_CHECKING:
    from sim.engine.rank import Rank


class Chunks:
    """Prompts of one rank with several lanes.

    Attributes
    ----------
    under_way : prompts under way in order of admission; those that were stopped leave it when they are next looked at.
    """

    __slots__ = ("_lanes", "under_way")

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self.under_way: dict[Request, None] = {}

    def clear(self) -> None:
        """Forget everything; the replica died."""
        self.under_way.clear()

    def add(self, request: Request) -> None:
        """Its prompt is under way from now on, after all others; it may have been stopped and come back."""
        self.under_way.pop(request, None)
        self.under_way[request] = None

    def sort(self, running: dict[Request, None]) -> None:
        """Put prompts in order of admission, after one whose KV has come had been admitted before others."""
        waiting = [request for request in running if request in self.under_way]
        stopped = [request for request in self.under_way if request not in running]
        self.under_way = dict.fromkeys([*waiting, *stopped])

    def proceed(self, rank: Rank, step: int, now_s: float) -> None:
        """Give the budgets of the round to prompts under way; KV that is short preempts the newest request."""
        for request in tuple(self.under_way):
            if request.state is not State.PREFILL or request.rank is not rank:
                del self.under_way[request]
                continue
            taken, left = 0, request.target_tokens - request.computed_tokens
            for lane in self._lanes:
                if lane.budget_tokens <= 0:
                    continue
                chunk = min(left, lane.budget_tokens)
                need = rank.make_room(request, taken + chunk, step, now_s)
                if request.state is not State.PREFILL:
                    return  # it was the newest itself
                lane.earlier[request] = taken
                rank.chunk(lane, request, chunk, need)
                taken, left = taken + chunk, left - chunk
                if not left:
                    break

    def spent(self) -> bool:
        """Whether no lane has tokens left in this round."""
        return all(lane.budget_tokens <= 0 for lane in self._lanes)

    def first_lane(self, assigned: Lane, tokens: int) -> Lane:
        """Where a new prompt begins: in the lane it will decode in if that holds it whole, else in the first with room.

        Short prompts spread over the lanes, and long ones fill the pipeline from its first free place.
        """
        if assigned.budget_tokens >= tokens:
            return assigned
        return next(lane for lane in self._lanes if lane.budget_tokens > 0)

    def extend(self, rank: Rank, request: Request, first: Lane, chunk: int, room: int) -> int:
        """Let a prompt just admitted with `chunk` tokens in lane `first` go on in later lanes, as far as `room` allows.

        Returns
        -------
        The blocks taken.
        """
        self.add(request)
        taken, left, blocks = chunk, request.target_tokens - request.computed_tokens - chunk, 0
        for lane in self._lanes[first.slot + 1 :]:
            if not left:
                break
            if lane.budget_tokens <= 0:
                continue
            chunk = min(left, lane.budget_tokens)
            need = rank.blocks_for(request, taken + chunk)
            if need > room - blocks:
                break
            lane.earlier[request] = taken
            rank.chunk(lane, request, chunk, need)
            taken, left, blocks = taken + chunk, left - chunk, blocks + need
        return blocks


def fewest_requests(lane: Lane) -> int:
    """What the balance of lanes looks at: requests that decode there, or will."""
    return lane.seqs + len(lane.prefilling)
