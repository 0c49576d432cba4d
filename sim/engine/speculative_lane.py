"""One batch whose sequences gain several tokens per step, by speculative decoding.

Contexts are summed in units of 1 / q token, where p / q is the acceptance length: a step adds p units to every decoding
sequence. So the sums stay exact integers, and a step still costs what changed.
"""

from __future__ import annotations

from sim.engine.lane import DecodeTable, Lane
from sim.engine.piecewise_lane import PiecewiseLane
from sim.engine.plan import EngineLimits
from sim.engine.request import Request


class SpeculativeLane(Lane):
    """Running sums of one batch; `context_units` and `capped_units` are in units of the acceptance length."""

    __slots__ = ("_cap_units",)

    def __init__(self, table: DecodeTable, cap_tokens: int, slot: int) -> None:
        super().__init__(table, cap_tokens, slot)
        self._cap_units = cap_tokens * self.units_per_token

    def advance(self, step: int) -> None:
        """Bring the sums to `step`, because one of them is about to change."""
        self.changed = True
        units = (step - self.step) * self.units_per_step
        if units:
            self.context_units += units * self.seqs
            self.capped_units += units * self.below
            self.step = step

    def refresh(self) -> None:
        """Recompute the seconds after the sums changed."""
        super().refresh()
        self.tokens *= self.verified_tokens
        self.slope_s *= self.units_per_step

    def join(self, request: Request, step: int, context_tokens: int) -> int:
        """Add a sequence, as `Lane.join`; a step may carry its context over the cap."""
        self.advance(step)
        request.lane = self
        request.join_step = step
        request.join_context = context_tokens
        self.seqs += 1
        units = context_tokens * self.units_per_token
        self.context_units += units
        cap = self.cap_tokens
        if cap == 0:
            return -1
        if context_tokens < cap:
            self.below += 1
            self.capped_units += units
            return step + self.decode_steps(cap - context_tokens)
        self.above += 1
        self.capped_units += self._cap_units
        return -1

    def cross(self, request: Request, step: int) -> None:
        """A sequence reaches the cap at `step`, or jumps over it: the sum holds no more of it than the cap."""
        super().cross(request, step)
        self.capped_units -= self._context_units(request, step) - self._cap_units

    def decoded_tokens(self, request: Request, step: int) -> int:
        """Tokens that a decoding sequence has put out since it joined, before step `step` begins."""
        return (step - request.join_step) * self.units_per_step // self.units_per_token

    def rest_units(self, request: Request, step: int) -> int:
        """Units beyond the whole tokens that it has put out."""
        return (step - request.join_step) * self.units_per_step % self.units_per_token

    def decode_steps(self, tokens: int) -> int:
        """Steps in which a sequence that joins puts out `tokens` tokens."""
        return -(-tokens * self.units_per_token // self.units_per_step)

    def leave(self, request: Request, step: int) -> None:
        """Remove a decoding sequence before step `step` begins."""
        self.advance(step)
        units = self._context_units(request, step)
        self.seqs -= 1
        self.context_units -= units
        if self.cap_tokens == 0:
            return
        if units < self._cap_units:
            self.below -= 1
            self.capped_units -= units
        else:
            self.above -= 1
            self.capped_units -= self._cap_units

    def _context_units(self, request: Request, step: int) -> int:
        return request.join_context * self.units_per_token + (step - request.join_step) * self.units_per_step


def lane_of(limits: EngineLimits, table: DecodeTable, cap_tokens: int, slot: int) -> Lane:
    """A lane of one rank: the plain one where a step is one token per sequence and the law is linear."""
    if limits.num_speculative_tokens:
        return SpeculativeLane(table, cap_tokens, slot)
    return (PiecewiseLane if table.piecewise else Lane)(table, cap_tokens, slot)
