"""`sim validate`: error of the prediction by family and metric, coverage, and the points that cannot be modelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from sim.report.terminal import columns, heading, paragraph, render, under_titles
from sim.report.validate_targets import misses_parts, standings_parts
from sim.study.validate.check import Check
from sim.study.validate.coverage import ALL, DRAWS, Coverage
from sim.study.validate.error import Summary, by_family, summarise
from sim.study.validate.validate import Validation

PERCENT = 100.0
SMALL = 100.0
HEAD = ("family and metric", "points", "median\nerror", "median\n|error|", "p90\n|error|", "within\nfactor 2")
CHECKED = ("figure with a target of its own", "measured", "simulated", "error", "target", "")
COVERED = ("family and metric", "points", "inside", "width over\nprediction")


def validate_text(found: Validation) -> str:
    """The table by family, all families together last; intervals where asked for; why points were left out."""
    overall = summarise(found.comparisons, ALL)
    parts: list[RenderableType] = [
        columns(HEAD, [*_rows(by_family(found.comparisons)), *_rows(overall)], "lrrrrr", wrap=(0,), gap=2),
        paragraph(
            f"Error is predicted over measured, less one. {found.points - len(found.skipped)} of {found.points} points "
            "were simulated. Families differ in quality and kind: the last block is a sum, not a promise."
        ),
    ]
    parts += standings_parts(found.standings)
    if found.misses:
        parts += misses_parts(found.misses)
    if found.checks:
        parts += _checked(found.checks)
    if found.coverage:
        parts += _covered(found.coverage)
    if found.skipped:
        parts.append(heading("Points that were not simulated"))
        reasons = Counter(reason for _, reason in found.skipped)
        names = {reason: [point for point, why in found.skipped if why == reason] for reason in reasons}
        parts += [paragraph(f"{count} x {reason}: {_some(names[reason])}") for reason, count in reasons.most_common()]
    return render(parts)


def _rows(summaries: Sequence[Summary]) -> list[Sequence[str | Text]]:
    return under_titles(
        (
            ", ".join(entry.family),
            (
                f"  {entry.metric}",
                str(entry.points),
                f"{PERCENT * entry.median_frac:+.1f} %",
                f"{PERCENT * entry.median_abs_frac:.1f} %",
                f"{PERCENT * entry.p90_abs_frac:.1f} %",
                f"{PERCENT * entry.within_2x_frac:.0f} %",
            ),
        )
        for entry in summaries
    )


def _checked(entries: Sequence[Check]) -> list[RenderableType]:
    rows: list[tuple[str, Sequence[str]]] = []
    for entry in entries:
        figures = (f"{value:.2f}" if value < SMALL else f"{value:,.0f}" for value in (entry.measured, entry.predicted))
        error, target = f"{PERCENT * entry.error_frac:+.0f} %", f"{PERCENT * entry.target_frac:.0f} %"
        cells = (f"  {entry.name}", *figures, error, target, "met" if entry.met else "missed")
        rows.append((entry.group, cells))
    met = sum(entry.met for entry in entries)
    return [
        heading("Phases alone and ratios"),
        columns(CHECKED, under_titles(rows), "lrrrrl", wrap=(0,), gap=2),
        paragraph(f"{met} of {len(entries)} within their targets."),
    ]


def _covered(entries: Sequence[Coverage]) -> list[RenderableType]:
    rows: list[tuple[str, Sequence[str]]] = []
    for entry in entries:
        inside, width = (f"{PERCENT * value:.0f} %" for value in (entry.inside_frac, entry.width_frac))
        rows.append((", ".join(entry.family), (f"  {entry.metric}", str(entry.points), inside, width)))
    return [
        heading("Inside the 80 % model interval"),
        columns(COVERED, under_titles(rows), "lrrr", wrap=(0,), gap=2),
        paragraph(
            f"The interval of a point is that of {DRAWS} draws of kernels, engine constants, expert imbalance and "
            "acceptance around its prediction; an honest one holds four points of five."
        ),
    ]


def _some(names: Sequence[str], most: int = 3) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
