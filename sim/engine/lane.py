"""One batch that is formed on its own, as running sums.

A step costs what changed: the sums of contexts advance by the step count, and a sequence touches them only when it
joins, crosses the attention cap, or leaves.
"""

from __future__ import annotations

from sim.engine.request import Request
from sim.steptime.law import StepLaw


class DecodeTable:
    """Decode coefficients by number of sequences, computed once each and shared by all lanes of a pool."""

    __slots__ = ("_law", "_rows")

    def __init__(self, law: StepLaw, max_num_seqs: int) -> None:
        self._law = law
        self._rows: list[tuple[float, float, float, float] | None] = [None] * (max_num_seqs + 1)

    def row(self, seqs: int) -> tuple[float, float, float, float]:
        """(base, per context token, per capped token, above cap) in seconds."""
        row = self._rows[seqs]
        if row is None:
            c = self._law.decode(seqs)
            row = self._rows[seqs] = (c.base_s, c.context_s, c.capped_s, c.above_s)
        return row


class Lane:
    """Running sums of one batch.

    Attributes
    ----------
    seqs : decoding sequences.
    context_tokens, capped_tokens : sums of their contexts, and of the contexts up to the attention cap, for step
        `step`.
    below, above : sequences whose context is below the cap, and those at or above it.
    changed : whether the sums changed since `refresh`.
    first_s, slope_s : lane seconds of step `step`, and their growth per further step, as of `refresh`.
    budget_tokens : tokens that the step being formed may still take.
    prefilling : requests whose prompt is under way, oldest first.
    chunks : (request, tokens) computed in the step under way.
    earlier : tokens of a prompt that earlier lanes of a pipeline compute in the same round; empty without stages.
    """

    __slots__ = (
        "_table",
        "above",
        "below",
        "budget_tokens",
        "cap_tokens",
        "capped_tokens",
        "changed",
        "chunks",
        "context_tokens",
        "earlier",
        "first_s",
        "prefilling",
        "seqs",
        "slope_s",
        "slot",
        "step",
    )

    def __init__(self, table: DecodeTable, cap_tokens: int, slot: int) -> None:
        self._table = table
        self.cap_tokens = cap_tokens
        self.slot = slot
        self.clear(0)

    def clear(self, step: int) -> None:
        """Drop everything; the replica died or starts."""
        self.seqs = self.context_tokens = self.capped_tokens = self.below = self.above = 0
        self.step = step
        self.first_s = self.slope_s = 0.0
        self.changed = False
        self.budget_tokens = 0
        self.prefilling: list[Request] = []
        self.chunks: list[tuple[Request, int]] = []
        self.earlier: dict[Request, int] = {}

    def advance(self, step: int) -> None:
        """Bring the sums to `step`, because one of them is about to change."""
        self.changed = True
        steps = step - self.step
        if steps:
            self.context_tokens += steps * self.seqs
            self.capped_tokens += steps * self.below
            self.step = step

    def refresh(self) -> None:
        """Recompute the seconds after the sums changed."""
        self.changed = False
        seqs = self.seqs
        if seqs == 0:
            self.first_s = self.slope_s = 0.0
            return
        base, context, capped, above = self._table.row(seqs)
        seconds = base + context * self.context_tokens + capped * self.capped_tokens
        self.first_s = seconds + above if self.above else seconds
        self.slope_s = context * seqs + capped * self.below

    def join(self, request: Request, step: int, context_tokens: int) -> int:
        """Add a sequence whose first decode step is `step`, computing `context_tokens`.

        Returns
        -------
        The step at which its context reaches the cap, or -1 if it never will from here.
        """
        self.advance(step)
        request.lane = self
        request.join_step = step
        request.join_context = context_tokens
        self.seqs += 1
        self.context_tokens += context_tokens
        cap = self.cap_tokens
        if cap == 0:
            return -1
        if context_tokens < cap:
            self.below += 1
            self.capped_tokens += context_tokens
            return step + cap - context_tokens
        self.above += 1
        self.capped_tokens += cap
        return -1

    def cross(self, step: int) -> None:
        """One sequence reaches the cap at `step`."""
        self.advance(step)
        self.below -= 1
        self.above += 1

    def leave(self, request: Request, step: int) -> None:
        """Remove a decoding sequence before step `step` begins."""
        self.advance(step)
        context = request.join_context + step - request.join_step
        self.seqs -= 1
        self.context_tokens -= context
        cap = self.cap_tokens
        if cap == 0:
            return
        if context < cap:
            self.below -= 1
            self.capped_tokens -= context
        else:
            self.above -= 1
            self.capped_tokens -= cap
