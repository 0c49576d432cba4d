"""`sim calibrate SCENARIO --bench`: constants before and after, and how far they carry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from sim.report.terminal import bullets, columns, heading, paragraph, render
from sim.study.calibrate.constants import CONSTANTS
from sim.study.calibrate.refit import METRICS, Refit
from sim.study.validate.error import Comparison

HEAD = ("constant", "unit", "before", "after", "80 % interval", "meaning")
ERRORS = ("metric", "figures", "before: median", "|median|", "after: median", "|median|")


def refit_text(found: Refit, path: Path) -> str:
    """Both tables, what was left out, and how to use the file."""
    known = {constant.name: constant for constant in CONSTANTS}
    rows: list[tuple[str | Text, ...]] = [
        (
            constant.name,
            known[constant.name].unit,
            f"{found.before[constant.name]:.3g}",
            f"{constant.value:.3g}",
            f"{constant.low:.3g} to {constant.high:.3g}",
            known[constant.name].meaning,
        )
        for constant in found.constants
    ]
    parts: list[RenderableType] = [
        paragraph(f"Constants of {found.engine}", "bold", 0),
        columns(HEAD, rows, "llrrrl", wrap=(0, 5), gap=2),
        heading("How far they carry"),
        paragraph(_judged(found)),
        columns(ERRORS, _errors(found), "lrrrrr"),
    ]
    remarks = [f"{name}: {note}" for name, note in found.notes]
    remarks += [f"{name} is left out: {reason}" for name, reason in found.left_out]
    if found.overriding:
        remarks.append(
            f"the scenario sets {', '.join(found.overriding)} itself, which goes before the file: remove it there."
        )
    if remarks:
        parts += [heading("Remarks"), *bullets(remarks)]
    parts.append(
        paragraph(
            f"Written to {path}. A scenario uses it with deployment.engine.calibration: {path}. An interval as wide as "
            "a constant itself says that these measurements do not tell it: it stays near what was believed before."
        )
    )
    return render(parts)


def _judged(found: Refit) -> str:
    """What was fitted on, and what the errors are of."""
    if found.held_out:
        return (
            f"Fitted on {_named(found.fitted)}. Errors are of the {len(found.judged)} held out: of four in order of "
            f"load the middle two ({_named(found.judged)})."
        )
    return (
        f"Fitted on {_named(found.fitted)}: too few to hold any out, so errors are of the same and say how well they "
        "are met, not how far the constants carry."
    )


def _named(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _errors(found: Refit) -> list[tuple[str, ...]]:
    rows = []
    for metric in METRICS:
        sides = [[e for e in side if e.metric == metric] for side in (found.errors_before, found.errors_after)]
        if sides[0]:
            rows.append((metric, str(len(sides[0])), *(cell for side in sides for cell in _medians(side))))
    return rows


def _medians(side: Sequence[Comparison]) -> tuple[str, str]:
    errors = np.array([entry.error_frac for entry in side])
    return f"{np.median(errors):+.1%}", f"{np.median(np.abs(errors)):.1%}"
