"""One batch under a law that is linear in the tokens held only between knots (`sim.steptime.law.PiecewiseLaw`)."""

from __future__ import annotations

from sim.engine.lane import DecodeTable, Lane

FAR = 1 << 60


class PiecewiseLane(Lane):
    """Running sums of one batch.

    Attributes
    ----------
    linear_until : first step for which `first_s` and `slope_s` do not hold, as of `refresh`.
    """

    __slots__ = ("linear_until",)

    def __init__(self, table: DecodeTable, cap_tokens: int, slot: int) -> None:
        self.linear_until = FAR
        super().__init__(table, cap_tokens, slot)

    def refresh(self) -> None:
        """Recompute the seconds after the sums changed, or a knot was reached."""
        self.changed = False
        self.linear_until = FAR
        seqs = self.tokens = self.seqs
        if seqs == 0:
            self.first_s = self.slope_s = 0.0
            return
        base_s, context_s, until_tokens = self._table.piece(seqs, self.context_units)
        self.first_s = base_s + context_s * self.context_units
        self.slope_s = context_s * seqs
        if until_tokens < FAR:
            self.linear_until = self.step + (int(until_tokens) - self.context_units) // seqs + 1

    def reach(self, step: int) -> None:
        """Step `step` is planned: a knot on the way to it ends the piece."""
        if self.linear_until <= step:
            self.advance(step)


def steps_to_knot(lanes: list[PiecewiseLane], step: int, steps: int) -> int:
    """Of `steps` steps from `step` on, those before a lane reaches a knot."""
    return min([steps, *(lane.linear_until - step for lane in lanes)])
