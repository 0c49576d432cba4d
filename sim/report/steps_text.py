"""`sim steps compare`: the law of a scenario beside a table of steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sim.report.terminal import columns, heading, paragraph, render
from sim.study.steps.compare import ComparedStep, step_errors
from sim.units import MILLISECOND

HEAD = ("steps", "rows", "median error", "median |error|", "p90 |error|")
WORST = 5


def steps_text(name: str, path: Path, steps: Sequence[ComparedStep]) -> str:
    """Errors by kind of step, and the rows that are furthest off."""
    rows = [
        (
            errors.kind,
            f"{errors.steps:,}",
            f"{errors.median_frac:+.1%}",
            f"{errors.median_abs_frac:.1%}",
            f"{errors.p90_abs_frac:.1%}",
        )
        for errors in step_errors(steps)
    ]
    worst = sorted(steps, key=lambda step: -abs(step.error_frac))[:WORST]
    furthest = [
        (
            *(f"{value:,}" for value in step.row.step),
            f"{step.row.seconds / MILLISECOND:.3f}",
            f"{step.law_s / MILLISECOND:.3f}",
            f"{step.error_frac:+.1%}",
        )
        for step in worst
    ]
    head = ("decode seqs", "context", "prompt tokens", "prefix", "table ms", "law ms", "error")
    return render(
        [
            paragraph(f"{name} beside {path}", "bold", 0),
            columns(HEAD, rows, "lrrrr"),
            heading("Furthest off"),
            columns(head, furthest, "rrrrrrr"),
            paragraph("Error is the law over the table, less one; the same work on every attention rank."),
        ]
    )
