"""A step-time law with nothing but the terms that closed forms know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.steptime.law import DecodeCoefficients


@dataclass(slots=True)
class AffineLaw:
    """A step takes base + per sequence + per token of context + per prompt token seconds.

    Attributes
    ----------
    base_s : per step.
    sequence_s : per sequence in the step, prefilling or decoding.
    context_s : per token of context of the decoding sequences.
    prompt_token_s : per prompt token computed.
    """

    base_s: float = 0.0
    sequence_s: float = 0.0
    context_s: float = 0.0
    prompt_token_s: float = 0.0
    attention_cap_tokens: int = 0

    def decode(self, seqs: int) -> DecodeCoefficients:
        """Lane seconds of a pure decode step."""
        return DecodeCoefficients(self.sequence_s * seqs, self.context_s, 0.0, 0.0)

    def mixed_s(
        self,
        seqs: int,
        context_tokens: int,
        capped_tokens: int,  # noqa: ARG002 - part of the interface; this law has no capped term
        any_above: bool,  # noqa: ARG002 - same
        prefills: Sequence[tuple[int, int]],
    ) -> float:
        """Lane seconds of a step with prompt chunks."""
        prompt_tokens = sum(new for new, _ in prefills)
        seconds = self.sequence_s * (seqs + len(prefills)) + self.context_s * context_tokens
        return seconds + self.prompt_token_s * prompt_tokens

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:  # noqa: ARG002 - interface
        """Seconds per step, whatever it holds."""
        return self.base_s
