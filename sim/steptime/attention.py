"""What the step-time law asks of an attention family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sim.steptime.operation import Bound, Operation

Prefills = Sequence[tuple[int, int]]
"""(new tokens, tokens already cached before them) of each prompt chunk."""


@dataclass(frozen=True, slots=True)
class LinearCost:
    """A decode operation of one lane, over all its layers, linear in the tokens held.

    Attributes
    ----------
    name, count, kernel, status : as in `sim.steptime.operation.Operation`.
    base_s, context_s, capped_s, above_s : as in `sim.steptime.law.DecodeCoefficients`.
    flops, context_flops, capped_flops : work: constant, and per token of context and of capped context.
    bytes, context_bytes, capped_bytes : memory traffic likewise.
    launch_s : part of `base_s` that is neither compute nor memory.
    bound : compute or memory, whichever sets the larger slope or weight term.
    """

    name: str
    count: int
    kernel: str
    status: str
    base_s: float
    context_s: float = 0.0
    capped_s: float = 0.0
    above_s: float = 0.0
    flops: float = 0.0
    context_flops: float = 0.0
    capped_flops: float = 0.0
    bytes: float = 0.0
    context_bytes: float = 0.0
    capped_bytes: float = 0.0
    launch_s: float = 0.0
    bound: Bound = "memory"

    def seconds(self, context_tokens: int, capped_tokens: int, any_above: bool) -> float:
        """Seconds for these sums."""
        seconds = self.base_s + self.context_s * context_tokens + self.capped_s * capped_tokens
        return seconds + self.above_s if any_above else seconds

    def explain(self, context_tokens: int, capped_tokens: int, any_above: bool) -> Operation:
        """The line of the breakdown."""
        seconds = self.seconds(context_tokens, capped_tokens, any_above)
        return Operation(
            self.name,
            self.count,
            self.flops + self.context_flops * context_tokens + self.capped_flops * capped_tokens,
            self.bytes + self.context_bytes * context_tokens + self.capped_bytes * capped_tokens,
            0.0,
            seconds,
            "launch" if self.launch_s > 0.5 * seconds else self.bound,
            self.kernel,
            self.status,
        )


class AttentionLaw(Protocol):
    """Attention of all layers of one lane.

    Attributes
    ----------
    cap_tokens : context at which capped attention stops growing; 0 without a cap.
    """

    @property
    def cap_tokens(self) -> int:
        """Context at which capped attention stops growing; 0 without a cap."""
        ...

    def decode(self, seqs: int) -> tuple[LinearCost, ...]:
        """Operations of a pure decode step."""
        ...

    def mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> tuple[float, ...]:
        """Seconds of the parts of a step with at least one prompt chunk; named by `explain_mixed`."""
        ...

    def explain_mixed(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Prefills
    ) -> list[Operation]:
        """The parts of `mixed` with their work."""
        ...
