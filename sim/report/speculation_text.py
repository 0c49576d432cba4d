"""Speculative decoding in words: drafts, acceptance, and where the figure comes from."""

from __future__ import annotations

from typing import Any

from sim.report.figures import plain_number, plural
from sim.simulation.speculation import Speculation

PERCENT = 100.0


def speculation_rows(speculation: Speculation) -> list[tuple[str, str]]:
    """Rows for the memory plan; none without speculative decoding."""
    drafts = speculation.num_speculative_tokens
    if not drafts:
        return []
    return [
        ("Drafts per step and sequence", f"{plural(drafts, 'token')}, {drafts + 1} verified"),
        ("Acceptance length", acceptance_words(speculation)),
    ]


def acceptance_words(speculation: Speculation) -> str:
    """Such as `2.99 tokens per step (measured, curve glm_coding), run as 3/1 (+0.33 %)`."""
    length, error = speculation.length, PERCENT * speculation.rounding_frac
    words = f"{plain_number(speculation.wanted_length)} tokens per step ({speculation.origin})"
    return words + (f", run as {length.numerator}/{length.denominator} ({error:+.2f} %)" if error else "")


def speculation_dict(speculation: Speculation) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "num_speculative_tokens": speculation.num_speculative_tokens,
        "acceptance_length": speculation.wanted_length,
        "acceptance_length_run": float(speculation.length),
        "acceptance_ratio": list(speculation.length.as_integer_ratio()),
        "curve": speculation.curve,
        "status": speculation.status,
        "source": None if speculation.fact is None else speculation.fact.source,
    }
