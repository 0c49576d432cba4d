"""The step-time law of measured step times, in place of the built-in one.

A row of the table is a step of the whole replica with the same work on every rank, so all of it is lane time: a step
lasts as long as its busiest lane's row says, as if the other ranks were as busy. With pipeline stages a row is what one
microbatch needs for all stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sim.steptime.law import DecodeCoefficients
from sim.steptime.step_table import StepTable


@dataclass(frozen=True, slots=True)
class HostTime:
    """What an engine adds to a table of kernel sums; nothing to measured steps.

    Attributes
    ----------
    step_s : per step, all stages together.
    prompts_s : further time of a step with prompt chunks.
    sequence_s : per sequence and step.
    """

    step_s: float = 0.0
    prompts_s: float = 0.0
    sequence_s: float = 0.0


class TabulatedLaw:
    """`sim.steptime.law.PiecewiseLaw` of a table of steps.

    Attributes
    ----------
    table : the steps.
    attention_cap_tokens : 0: a table knows contexts only as their mean.
    """

    attention_cap_tokens = 0

    def __init__(self, table: StepTable, host: HostTime | None = None) -> None:
        self.table = table
        self.host = HostTime() if host is None else host

    def decode(self, seqs: int) -> DecodeCoefficients:
        """Coefficients up to the first knot, as an interface asks for them; the engine asks for pieces."""
        base_s, context_s, _ = self.piece(seqs, seqs)
        return DecodeCoefficients(base_s, context_s, 0.0, 0.0)

    def piece(self, seqs: int, context_tokens: int) -> tuple[float, float, float]:
        """(base, per token of context, sum of contexts up to which they hold) of a decode step."""
        base_s, context_s, until_tokens = self.table.piece(seqs, context_tokens)
        return base_s + seqs * self.host.sequence_s, context_s, until_tokens

    def mixed_s(
        self,
        seqs: int,
        context_tokens: int,
        capped_tokens: int,  # noqa: ARG002 - part of the interface; a table has no capped term
        any_above: bool,  # noqa: ARG002 - same
        prefills: Sequence[tuple[int, int]],
    ) -> float:
        """Seconds of a step that decodes `seqs` >= 0 sequences and prefills chunks of (new, cached) tokens."""
        tokens = before = 0
        for new, cached in prefills:
            tokens += new
            before += new * cached
        host_s = (seqs + len(prefills)) * self.host.sequence_s
        if not tokens:
            return self.table.decode_s(seqs, context_tokens / seqs) + host_s if seqs else 0.0
        prefix = before / tokens
        if not seqs:
            return self.table.prefill_s(tokens, prefix) + host_s
        return self.table.mixed_s(seqs, context_tokens / seqs, tokens, prefix) + host_s

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:  # noqa: ARG002 - interface
        """Host time that the table does not hold; the rows hold all else."""
        return self.host.step_s + self.host.prompts_s if prefill else self.host.step_s


def table_caveats(
    table: StepTable, *, decode_seqs: int, context_tokens: int, prefill_tokens: int, prefix_tokens: int, ranks: int
) -> Iterator[str]:
    """Where a run left the table, and what a table cannot know.

    Parameters
    ----------
    decode_seqs, context_tokens : most sequences that decoded on one rank, and their mean context; 0 without any.
    prefill_tokens, prefix_tokens : most prompt tokens of a step, and most tokens before them; 0 without any.
    ranks : attention ranks in lockstep.
    """
    if decode_seqs and table.decode:
        levels = list(table.decode)
        contexts = sorted({place for curve in table.decode.values() for place in curve.places})
        yield from _outside("decoding sequences per rank", decode_seqs, levels[0], levels[-1], "in proportion")
        yield from _outside("tokens of mean context", context_tokens, contexts[0], contexts[-1], "as the last rows go")
        if table.fall_frac:
            yield (
                f"steps of the table get shorter by up to {table.fall_frac:.1%} as contexts grow; this was taken as "
                "scatter, and as no change."
            )
    if prefill_tokens and table.prefill:
        tokens = sorted({place for curve in table.prefill.values() for place in curve.places})
        prefixes = list(table.prefill)
        yield from _outside("prompt tokens in a step", prefill_tokens, 0, tokens[-1], "in proportion")
        if prefix_tokens and len(prefixes) == 1:
            yield (
                "the table has no rows with a prefix, so tokens of a prompt cost the same however many stand before "
                "them."
            )
        elif prefix_tokens:
            yield from _outside("tokens before a prompt chunk", prefix_tokens, 0, prefixes[-1], "as the last rows go")
        if decode_seqs and not table.added:
            yield (
                "the table has no steps that decode and prefill at once; they are composed of prompt steps with more "
                "tokens and of what contexts add to decode steps."
            )
    if ranks > 1:
        yield (
            f"a row of the table is a step with the same work on all {ranks} ranks, so a step lasts as if every rank "
            "held what the busiest one holds."
        )


def _outside(what: str, value: int, least: int, most: int, how: str) -> Iterator[str]:
    if value > most:
        yield f"up to {value:,} {what}, where the table ends at {most:,}: extrapolated, {how}."
    elif value and value < least:
        yield f"{value:,} {what}, where the table begins at {least:,}: taken as the least row."
