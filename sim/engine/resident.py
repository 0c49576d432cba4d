"""What the requests of a replica hold, counted one by one: one side of the identities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from sim.engine.rank import Rank
from sim.engine.request import State


def resident(ranks: Sequence[Rank], step: int, block_size: int) -> tuple[int, int, int]:
    """(generated tokens, prefilled tokens, blocks that should be held) of all requests of these ranks before `step`."""
    generated = prefilled = blocks = 0
    for rank in ranks:
        rank.blocks.advance(step)
        for request in chain(rank.running, rank.waiting):
            generated += request.generated
            prefilled += request.computed_tokens - request.hit_tokens
            if request.state is State.DECODE:
                generated += step - request.join_step
                blocks += -(-(request.join_context - 1 + step - request.join_step) // block_size)
            else:
                blocks += request.blocks
        if rank.cache is not None:
            blocks -= rank.cache.audit(rank.running)
    return generated, prefilled, blocks
