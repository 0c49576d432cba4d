"""The interface between the engine and whatever says how long a step takes.

A replica steps all its lanes together. A lane is one batch that is formed on its own: an attention data-parallel rank,
or one of the microbatches that fill a pipeline. A step lasts

    max over lanes of lane seconds  +  shared seconds

where lane seconds cover what one rank does alone (attention, dense layers, head) and shared seconds cover what all
ranks do together (experts, dispatch and combine, host overhead). With pipeline stages a step is one round of the
pipeline: every sequence gets one token, both parts are summed over stages, and the round lasts as long as its largest
microbatch needs for all stages, and longer where prompts fill the pipeline (`sim.engine.pipeline`).

Between changes of the batch, lane seconds grow linearly in the tokens held, so n steps have a closed form
(`sim.steptime.span`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class DecodeCoefficients:
    """Lane seconds of a pure decode step for a fixed number of sequences.

    lane_s = base_s + context_s * (sum of contexts) + capped_s * (sum of min(context, cap))
             + above_s * [any context >= cap]

    A context counts the token being computed. `context_s` and `capped_s` are seconds per token, not below zero.
    """

    base_s: float
    context_s: float
    capped_s: float
    above_s: float


class StepLaw(Protocol):
    """How long one step takes, in seconds.

    Attributes
    ----------
    attention_cap_tokens : context at which capped attention stops growing (`index_topk` or the window); 0 without one.
    """

    attention_cap_tokens: int

    def decode(self, seqs: int) -> DecodeCoefficients:
        """Coefficients of a lane that decodes `seqs` >= 1 sequences and prefills nothing. Cached by the caller."""
        ...

    def mixed_s(
        self,
        seqs: int,
        context_tokens: int,
        capped_tokens: int,
        any_above: bool,
        prefills: Sequence[tuple[int, int]],
    ) -> float:
        """Lane seconds of a step that decodes `seqs` >= 0 sequences and prefills chunks.

        Parameters
        ----------
        context_tokens, capped_tokens : sums over decoding sequences, as in `DecodeCoefficients`.
        any_above : whether a decoding sequence has reached the cap.
        prefills : (new tokens, tokens already computed or cached before them) per chunk; may be empty.
        """
        ...

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        """Seconds that all lanes spend together.

        Parameters
        ----------
        total_tokens : tokens of all lanes that share the experts in this step.
        busiest_lane_tokens : tokens of the lane with most of them.
        prefill : whether any lane prefills (some engines then use other kernels and dispatch modes).
        """
        ...


@runtime_checkable
class PiecewiseLaw(StepLaw, Protocol):
    """A law whose decode steps grow linearly in the tokens held only up to the next knot.

    The engine asks for the piece at hand, and ends a span where it ends; `decode` is not asked.
    """

    def piece(self, seqs: int, context_tokens: int) -> tuple[float, float, float]:
        """(base seconds, seconds per token of context, sum of contexts up to which they hold) of a decode step.

        Parameters
        ----------
        seqs : decoding sequences of the lane, at least 1.
        context_tokens : sum of their contexts; the piece begins there or before, and ends beyond it.
        """
        ...


@runtime_checkable
class DraftingLaw(StepLaw, Protocol):
    """A law of steps that draft tokens and verify those of the step before.

    `decode`, `mixed_s` and `shared_s` then mean a verifying step with all lane seconds of its drafts: sequences count
    once in `seqs`, and with every token that is verified in the tokens of `shared_s`.
    """

    def drafts_s(self, total_seqs: int, busiest_lane_seqs: int) -> float:
        """Seconds that all lanes spend together on the drafts that follow the first; 0 without decoding sequences."""
        ...
