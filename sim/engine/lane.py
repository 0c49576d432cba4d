"""One batch that is formed on its own, as running sums.

A step costs what changed: the sums of contexts advance by the step count, and a sequence touches them only when it
joins, crosses the attention cap, or leaves.
"""

from __future__ import annotations

from sim.engine.plan import EngineLimits
from sim.engine.request import Request
from sim.steptime.law import PiecewiseLaw, StepLaw


class DecodeTable:
    """Decode coefficients by number of sequences, computed once each and shared by all lanes of a pool.

    Attributes
    ----------
    units_per_step, units_per_token : acceptance length as a ratio; both 1 without speculative decoding.
    verified_tokens : tokens that a step computes for every decoding sequence.
    piecewise : whether the law has pieces, which are asked of it anew.
    """

    __slots__ = ("_law", "_pieces", "_rows", "piecewise", "units_per_step", "units_per_token", "verified_tokens")

    def __init__(self, law: StepLaw, limits: EngineLimits) -> None:
        self._law = law
        self._pieces = law.piece if isinstance(law, PiecewiseLaw) else None
        self.piecewise = self._pieces is not None
        self._rows: list[tuple[float, float, float, float] | None] = [None] * (limits.max_num_seqs + 1)
        self.units_per_step, self.units_per_token = limits.acceptance_length.as_integer_ratio()
        self.verified_tokens = limits.verified_tokens

    def row(self, seqs: int) -> tuple[float, float, float, float]:
        """(base, per unit of context, per unit of capped context, above cap) in seconds."""
        row = self._rows[seqs]
        if row is None:
            c, units = self._law.decode(seqs), self.units_per_token
            row = self._rows[seqs] = (c.base_s, c.context_s / units, c.capped_s / units, c.above_s)
        return row

    def piece(self, seqs: int, context_tokens: int) -> tuple[float, float, float]:
        """(base, per token of context, sum of contexts up to which they hold) of a piecewise law."""
        assert self._pieces is not None
        return self._pieces(seqs, context_tokens)


class Lane:
    """Running sums of one batch.

    Attributes
    ----------
    seqs : decoding sequences.
    tokens : tokens that a step computes for them, as of `refresh`.
    context_units, capped_units : sums of their contexts, and of the contexts up to the attention cap, for step `step`;
        a unit is a token, or a part of one (`sim.engine.speculative_lane`).
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
        "capped_units",
        "changed",
        "chunks",
        "context_units",
        "earlier",
        "first_s",
        "prefilling",
        "seqs",
        "slope_s",
        "slot",
        "step",
        "tokens",
        "units_per_step",
        "units_per_token",
        "verified_tokens",
    )

    def __init__(self, table: DecodeTable, cap_tokens: int, slot: int) -> None:
        self._table = table
        self.cap_tokens = cap_tokens
        self.slot = slot
        self.units_per_step, self.units_per_token = table.units_per_step, table.units_per_token
        self.verified_tokens = table.verified_tokens
        self.clear(0)

    def clear(self, step: int) -> None:
        """Drop everything; the replica died or starts."""
        self.seqs = self.tokens = self.context_units = self.capped_units = self.below = self.above = 0
        self.step = step
        self.first_s = self.slope_s = 0.0
        self.changed = False
        self.budget_tokens = 0
        self.prefilling: list[Request] = []
        self.chunks: list[tuple[Request, int]] = []
        self.earlier: dict[Request, int] = {}

    def chunk_tokens(self, request: Request) -> int:
        """Tokens of a request that the step being formed computes."""
        return sum(tokens for other, tokens in self.chunks if other is request)

    def advance(self, step: int) -> None:
        """Bring the sums to `step`, because one of them is about to change."""
        self.changed = True
        steps = step - self.step
        if steps:
            self.context_units += steps * self.seqs
            self.capped_units += steps * self.below
            self.step = step

    def refresh(self) -> None:
        """Recompute the seconds after the sums changed."""
        self.changed = False
        seqs = self.tokens = self.seqs
        if seqs == 0:
            self.first_s = self.slope_s = 0.0
            return
        base, context, capped, above = self._table.row(seqs)
        seconds = base + context * self.context_units + capped * self.capped_units
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
        self.context_units += context_tokens
        cap = self.cap_tokens
        if cap == 0:
            return -1
        if context_tokens < cap:
            self.below += 1
            self.capped_units += context_tokens
            return step + cap - context_tokens
        self.above += 1
        self.capped_units += cap
        return -1

    def cross(self, request: Request, step: int) -> None:
        """A sequence reaches the cap at `step`; here exactly, so the sums stay."""
        del request
        self.advance(step)
        self.below -= 1
        self.above += 1

    def decoded_tokens(self, request: Request, step: int) -> int:
        """Tokens that a decoding sequence has put out since it joined, before step `step` begins."""
        return step - request.join_step

    def rest_units(self, request: Request, step: int) -> int:
        """Units beyond the whole tokens that it has put out: none here."""
        del request, step
        return 0

    def decode_steps(self, tokens: int) -> int:
        """Steps in which a sequence that joins puts out `tokens` tokens."""
        return tokens

    def leave(self, request: Request, step: int) -> None:
        """Remove a decoding sequence before step `step` begins."""
        self.advance(step)
        context = request.join_context + step - request.join_step
        self.seqs -= 1
        self.context_units -= context
        cap = self.cap_tokens
        if cap == 0:
            return
        if context < cap:
            self.below -= 1
            self.capped_units -= context
        else:
            self.above -= 1
            self.capped_units -= cap
