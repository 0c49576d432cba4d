"""Where validation stands against its targets, and why it misses the ones it misses, as text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from sim.catalog.tables import table
from sim.report.terminal import columns, heading, paragraph, under_titles
from sim.study.validate.miss import TABLE, UNEXPLAINED, Miss
from sim.study.validate.target import Standing

PERCENT = 100.0
HEAD = ("family and metric", "points", "reached", "target", "", "bias")


def standings_parts(entries: Sequence[Standing]) -> list[RenderableType]:
    """A table of every family and metric against its target."""
    rows: list[tuple[str, Sequence[str]]] = []
    for entry in entries:
        reached, target = f"{PERCENT * entry.reached_frac:.1f} %", f"{PERCENT * entry.target_frac:.0f} %"
        bias = "" if entry.is_share or entry.unbiased else "beyond half"
        what = f"  {entry.metric} within factor 2" if entry.is_share else f"  {entry.metric}"
        cells = (what, str(entry.points), reached, target, "met" if entry.met else "missed", bias)
        rows.append((f"{', '.join(entry.family)} ({entry.group})", cells))
    met = [entry for entry in entries if entry.met]
    unbiased = sum(entry.unbiased for entry in met)
    return [
        heading("Against the targets"),
        columns(HEAD, under_titles(rows), "lrrrll", wrap=(0,), gap=2),
        paragraph(
            f"{len(met)} of {len(entries)} are met, {unbiased} of them without bias. Median absolute error, for p99 of "
            "TTFT the share of points within a factor of two. Targets differ for families that engine constants were "
            "fitted on (fitted), for others, and for pools. Bias: the signed median is beyond half of the target."
        ),
    ]


def misses_parts(found: Sequence[Miss]) -> list[RenderableType]:
    """The points behind missed targets by cause: how many, why, and what would settle it."""
    parts: list[RenderableType] = [heading("Points behind targets that are missed, or met with a bias")]
    for name, words in table(TABLE).items():
        own = [miss for miss in found if miss.cause == name]
        if own:
            parts.append(
                paragraph(f"{_count(own)}: {name}. {words['why'].note} Settled by: {words['settled_by'].note}")
            )
    left = [miss for miss in found if miss.cause == UNEXPLAINED]
    if left:
        names = ", ".join(sorted({miss.comparison.point for miss in left}))
        parts.append(paragraph(f"{_count(left)}: not explained: {names}."))
    return parts


def _count(found: Sequence[Miss]) -> str:
    points = len({miss.comparison.point for miss in found})
    return f"{len(found)} figure{'s' if len(found) > 1 else ''} of {points} point{'s' if points > 1 else ''}"
