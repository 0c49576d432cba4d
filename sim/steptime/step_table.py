"""Step times between and beyond measured steps: linear in each quantity between them.

Decoding: between two numbers of sequences and two contexts. Prompts: between two numbers of prompt tokens and two
prefixes. A mixed step is a decode step and what the prompts add to it; that comes from rows with both, interpolated
between numbers of sequences (none of them included), contexts and prompt tokens, so that every row is met exactly.
Without rows of mixed steps, decoding sequences count as tokens of the prompt step, and add what their contexts add to
a decode step; the whole is never less than the decode step alone. That is how the built-in law composes them.

Outside the table: below the least of any quantity as at it; beyond the most sequences or prompt tokens in proportion,
beyond the longest context or prefix as the last two rows go on. `sim.steptime.tabulated` says where a run went there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from sim.errors import ScenarioError
from sim.steptime.curve import Curve, bracket
from sim.steptime.step_rows import StepRow

MOST_FALL_FRAC = 0.1
"""A step that gets shorter by more than this as contexts grow is no scatter."""

Piece = tuple[float, float, float]


class StepTable:
    """Interpolated step times.

    Attributes
    ----------
    decode : seconds by mean context, for each number of sequences in rising order; empty without such rows.
    prefill : seconds by prompt tokens, for each prefix; empty without such rows.
    added : what prompt tokens add to a decode step, by sequences and context; empty without rows of mixed steps.
    fall_frac : largest fall with context that was taken as scatter and flattened.
    """

    def __init__(self, rows: Iterable[StepRow], file: str = "") -> None:
        """Rows of the same step are averaged.

        Raises
        ------
        ScenarioError : steps get shorter as contexts grow, by more than scatter; or mixed steps without decode steps.
        """
        same: dict[tuple[int, int, int, int], list[float]] = defaultdict(list)
        for row in rows:
            same[row.step].append(row.seconds)
        seconds = {step: fmean(values) for step, values in same.items()}
        self._file = file
        self.fall_frac = 0.0
        self.decode = self._decode_curves(seconds)
        self._seqs = list(self.decode)
        self._pieces: dict[int, tuple[list[int], list[float]]] = {}
        self.prefill = _prefill_curves(seconds)
        self.added = self._added_curves(seconds)
        if not self.prefill and self.added:
            self.prefill = self._prefill_of_mixed()

    # ---- decode steps ----------------------------------------------------------------------------------------------

    def decode_s(self, seqs: int, context: float) -> float:
        """A step that decodes `seqs` >= 1 sequences at a mean context."""
        low, high, share = bracket(self._seqs, seqs)
        if seqs > high:
            return self.decode[high].at(context) * seqs / high
        low_s = self.decode[low].at(context)
        return low_s if low == high else low_s + share * (self.decode[high].at(context) - low_s)

    def piece(self, seqs: int, context_tokens: int) -> Piece:
        """(base, seconds per token of context, sum of contexts up to which they hold) of a decode step."""
        knots, values = self._knots(seqs)
        index = bisect_right(knots, context_tokens // seqs)
        if index == 0:
            return values[0], 0.0, float(seqs * knots[0])
        at = knots[index - 1]
        if index == len(knots):
            slope_s, until = self._last_slope_s(seqs), float("inf")
        else:
            slope_s, until = (values[index] - values[index - 1]) / (knots[index] - at), float(seqs * knots[index])
        return values[index - 1] - slope_s * at, slope_s / seqs, until

    def _knots(self, seqs: int) -> tuple[list[int], list[float]]:
        """Contexts between which a decode step of `seqs` sequences is linear, and its seconds there."""
        found = self._pieces.get(seqs)
        if found is None:
            low, high, _ = bracket(self._seqs, seqs)
            knots = sorted({*self.decode[low].places, *self.decode[high].places})
            found = self._pieces[seqs] = (knots, [self.decode_s(seqs, knot) for knot in knots])
        return found

    def _last_slope_s(self, seqs: int) -> float:
        """Growth per token of mean context beyond all rows."""
        low, high, share = bracket(self._seqs, seqs)
        slope_s = self.decode[low].last_slope_s * (1.0 - share) + self.decode[high].last_slope_s * share
        return slope_s * max(1.0, seqs / self._seqs[-1])

    # ---- steps with prompts ----------------------------------------------------------------------------------------

    def prefill_s(self, tokens: int, prefix: float) -> float:
        """A step that computes prompt tokens and decodes nothing."""
        prefixes = list(self.prefill)
        low, high, share = bracket(prefixes, prefix)
        low_s = self.prefill[low].in_proportion(tokens)
        if low != high:
            return low_s + share * (self.prefill[high].in_proportion(tokens) - low_s)
        if prefix > high and len(prefixes) > 1:
            before_s = self.prefill[prefixes[-2]].in_proportion(tokens)
            return low_s + max(0.0, low_s - before_s) * (prefix - high) / (high - prefixes[-2])
        return low_s

    def mixed_s(self, seqs: int, context: float, tokens: int, prefix: float) -> float:
        """A step that decodes `seqs` >= 1 sequences and computes `tokens` >= 1 prompt tokens."""
        decode_s = self.decode_s(seqs, context)
        if not self.added:
            context_s = decode_s - self.decode_s(seqs, 0.0)
            return max(decode_s, self.prefill_s(tokens + seqs, prefix) + context_s)
        prefix_s = self.prefill_s(tokens, prefix) - self.prefill_s(tokens, 0.0)
        return decode_s + self._added_s(seqs, context, tokens) + prefix_s

    def _added_s(self, seqs: int, context: float, tokens: int) -> float:
        low, high, share = bracket([0, *self.added], seqs)
        low_s, high_s = (self._added_at(level, context, tokens) for level in (low, high))
        return low_s + share * (high_s - low_s)

    def _added_at(self, seqs: int, context: float, tokens: int) -> float:
        """What prompt tokens add at a number of sequences that has rows."""
        if not seqs:
            return self.prefill_s(tokens, 0.0)
        contexts = self.added[seqs]
        low, high, share = bracket(list(contexts), context)
        low_s, high_s = (contexts[level].in_proportion(tokens) for level in (low, high))
        return low_s + share * (high_s - low_s)

    # ---- from rows to curves ---------------------------------------------------------------------------------------

    def _decode_curves(self, seconds: dict[tuple[int, int, int, int], float]) -> dict[int, Curve]:
        points: dict[int, dict[int, float]] = defaultdict(dict)
        for (seqs, context, tokens, _), value in seconds.items():
            if seqs and not tokens:
                points[seqs][context] = value
        return {seqs: Curve(self._rising(seqs, points[seqs])) for seqs in sorted(points)}

    def _rising(self, seqs: int, points: dict[int, float]) -> dict[int, float]:
        """The points without falls: the closed form of a span needs steps that do not get shorter."""
        risen, most_s = {}, 0.0
        for context in sorted(points):
            fall_frac = 1.0 - points[context] / most_s if most_s else 0.0
            if fall_frac > MOST_FALL_FRAC:
                raise ScenarioError(
                    f"a decode step of {seqs} sequences gets shorter by {fall_frac:.0%} as their context grows to "
                    f"{context}",
                    valid=f"falls of up to {MOST_FALL_FRAC:.0%}, which are taken as scatter",
                    file=self._file,
                )
            self.fall_frac = max(self.fall_frac, fall_frac)
            most_s = max(most_s, points[context])
            risen[context] = most_s
        return risen

    def _added_curves(self, seconds: dict[tuple[int, int, int, int], float]) -> dict[int, dict[int, Curve]]:
        points: dict[int, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        for (seqs, context, tokens, prefix), value in seconds.items():
            if not seqs or not tokens:
                continue
            if prefix:
                raise ScenarioError(
                    "prefix_tokens of a step that also decodes", value=prefix, valid="0 there", file=self._file
                )
            if not self._seqs:
                raise ScenarioError(
                    "has steps that decode and prefill, but none that only decode: what prompts add is unknown",
                    file=self._file,
                )
            points[seqs][context][tokens] = value - self.decode_s(seqs, context)
        return {
            seqs: {context: Curve({0: 0.0, **by_tokens}) for context, by_tokens in sorted(points[seqs].items())}
            for seqs in sorted(points)
        }

    def _prefill_of_mixed(self) -> dict[int, Curve]:
        """Prompt steps where none was measured: those with the fewest sequences at the least context."""
        seqs = next(iter(self.added))
        context, curve = next(iter(self.added[seqs].items()))
        decode_s = self.decode_s(seqs, context)
        pairs = zip(curve.places, curve.seconds, strict=True)
        return {0: Curve({tokens: decode_s + added_s for tokens, added_s in pairs if tokens})}


def _prefill_curves(seconds: dict[tuple[int, int, int, int], float]) -> dict[int, Curve]:
    points: dict[int, dict[int, float]] = defaultdict(dict)
    for (seqs, _, tokens, prefix), value in seconds.items():
        if tokens and not seqs:
            points[prefix][tokens] = value
    return {prefix: Curve(points[prefix]) for prefix in sorted(points)}
