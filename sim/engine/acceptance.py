"""What speculative decoding changes in the books of a replica: whole tokens out of a fluid of fractions.

With an acceptance length of p / q tokens per step, a sequence has put out floor(s p / q) tokens after s steps. Running
sums are kept in units of 1 / q token, in which every step of every sequence is p units: exact integers. Tokens emitted
and cached are the whole tokens of that sum; its rest stands in `Held.rest_units`, between 0 and q - 1.

When a sequence leaves, its own rest is taken out, and with it the tokens that its last step verified beyond its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from sim.engine.lane import Lane
from sim.engine.plan import EngineLimits
from sim.engine.recorder import Recorder
from sim.engine.request import Request
from sim.steptime.law import DraftingLaw, StepLaw

if TYPE_CHECKING:
    from sim.engine.held import Held


class SharedSeconds(Protocol):
    """As `StepLaw.shared_s`."""

    def __call__(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        """Seconds that all lanes spend together."""
        ...


def shared_seconds(limits: EngineLimits, law: StepLaw, lanes: Sequence[Lane], ranks: int) -> SharedSeconds:
    """`StepLaw.shared_s`, with the drafts of a step where there are any, for the `ranks` ranks that are alive.

    Experts of ranks that are lost live on as copies on the others, which compute the tokens of all: each of them has as
    much to do as if all ranks were there, with so many more tokens.

    Raises
    ------
    TypeError : drafts are asked of a law that knows none; a defect of whoever built it.
    """
    of_design = limits.data_parallel_size
    if not limits.num_speculative_tokens:
        return law.shared_s if ranks == of_design else _spread(law, of_design, ranks)
    if not isinstance(law, DraftingLaw):
        raise TypeError("speculative decoding needs a step law that knows how long a draft takes")

    def with_drafts(total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        seqs = [lane.seqs for lane in lanes]
        verified_s = law.shared_s(total_tokens * of_design // ranks, busiest_lane_tokens, prefill)
        return verified_s + law.drafts_s(sum(seqs) * of_design // ranks, max(seqs))

    return with_drafts


def _spread(law: StepLaw, of_design: int, ranks: int) -> SharedSeconds:
    def shared_s(total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        return law.shared_s(total_tokens * of_design // ranks, busiest_lane_tokens, prefill)

    return shared_s


def held_tokens(held: Held, limits: EngineLimits) -> float:
    """Tokens cached, with the part of one beyond the whole tokens."""
    return held.cached_tokens + held.rest_units / limits.acceptance_length.denominator


def emit(held: Held, steps: int, seconds: float, ramp_s: float, limits: EngineLimits, record: Recorder) -> float:
    """Book the tokens of `steps` steps of all decoding sequences; of a step's tokens all but one come with no gap.

    Parameters
    ----------
    seconds : duration of the steps.
    ramp_s : sum of i times the duration of step i.

    Returns
    -------
    Integral of the tokens cached over that time.
    """
    units_per_step, units_per_token = limits.acceptance_length.as_integer_ratio()
    seq_steps = steps * held.decoding
    cached_token_s = held_tokens(held, limits) * seconds + held.decoding * units_per_step / units_per_token * ramp_s
    tokens, held.rest_units = divmod(seq_steps * units_per_step + held.rest_units, units_per_token)
    record.bursts(tokens - seq_steps)
    record.totals.emitted_tokens += tokens
    held.cached_tokens += tokens
    return cached_token_s


def settle_rest(held: Held, request: Request, decoded_tokens: int, rest_units: int, record: Recorder) -> int:
    """Take a sequence that leaves out of the fluid sums.

    Parameters
    ----------
    decoded_tokens, rest_units : whole tokens since it joined, and the units beyond them.

    Returns
    -------
    Tokens verified beyond the end of the request; nobody receives them.
    """
    beyond = max(0, request.generated + decoded_tokens - request.output_tokens)
    borrowed = rest_units > held.rest_units
    held.rest_units -= rest_units
    if borrowed:
        assert request.lane is not None
        held.rest_units += request.lane.units_per_token
        held.cached_tokens -= 1
    record.totals.emitted_tokens -= beyond + borrowed
    record.bursts(-beyond - borrowed)
    return beyond
