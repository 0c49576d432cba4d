"""What the requests of one replica hold, counted one by one: the other side of the identities."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import chain

from sim.engine.plan import EngineLimits
from sim.engine.rank import Rank
from sim.engine.request import State


def resident(ranks: Sequence[Rank], step: int, limits: EngineLimits) -> tuple[Fraction, int, int]:
    """(generated, prefilled tokens, blocks that should be held) of the requests of a replica before `step`.

    Generated with the parts of tokens that the totals do not count as emitted yet: whole without speculation.
    """
    generated = prefilled = blocks = 0
    units = -ranks[0].held.rest_units  # ranks of a replica share what it holds
    for rank in ranks:
        rank.blocks.advance(step)
        for request in chain(rank.running, rank.waiting):
            generated += request.generated
            prefilled += request.computed_tokens - request.hit_tokens
            if request.state is State.DECODE:
                assert request.lane is not None
                decoded = request.lane.decoded_tokens(request, step)
                generated += decoded
                units += request.lane.rest_units(request, step)
                blocks += rank.blocks.blocks_of(request.join_context - 1 + decoded)
            else:
                blocks += request.blocks
        if rank.cache is not None:
            blocks -= rank.cache.audit(rank.running)
    return generated + Fraction(units, limits.acceptance_length.denominator), prefilled, blocks
