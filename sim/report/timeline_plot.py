"""The state of the cluster over time: median over replications, with the band that holds most of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sim.report.style import BAND, COLOURS, FAINT, INK, LINES, drawn, svg_text
from sim.study.result import TIMELINE, Result
from sim.units import HOUR_S, MINUTE_S

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS: Final = 240
PANELS: Final = (
    ("running", "running\nsequences", 1.0),
    ("waiting", "waiting\nrequests", 1.0),
    ("kv_used_frac", "KV cache\nused (%)", 100.0),
    ("replicas_up", "replicas\nup", 1.0),
)
BAND_PERCENT: Final = (10.0, 90.0)
LABEL: Final = "Running sequences, waiting requests, share of the KV cache used and replicas up, over simulated time"
Floats = npt.NDArray[np.float64]


def timeline_svg(result: Result) -> str:
    """The plot as an inline SVG element; empty when nothing was sampled."""
    if not result.timeline:
        return ""
    with drawn(len(PANELS), 1, sharex=True, figure={"figsize": (8.4, 5.4)}) as (figure, axes):
        draw_timeline(axes, result)
        return svg_text(figure, "timeline", LABEL)


def timeline_figure(result: Result) -> Figure:
    """The plot as a matplotlib figure, for notebooks."""
    with drawn(len(PANELS), 1, sharex=True, figure={"figsize": (8.4, 5.4)}) as (figure, axes):
        draw_timeline(axes, result)
        return figure


def draw_timeline(axes: list[Any], result: Result) -> None:
    """Draw one panel per level into the axes."""
    samples = np.array(result.timeline, dtype=np.float64)
    end_s = float(samples[:, 1].max())
    unit_s, unit = _unit(end_s)
    grid_s = np.linspace(0.0, end_s, POINTS)
    for index, (axis, (column, label, factor)) in enumerate(zip(axes, PANELS, strict=True)):
        levels = factor * _levels(samples, TIMELINE.index(column), grid_s)
        low, high = np.nanpercentile(levels, BAND_PERCENT, axis=0)
        axis.fill_between(grid_s / unit_s, low, high, step="post", color=COLOURS[index], alpha=BAND, linewidth=0)
        middle = np.nanmedian(levels, axis=0)
        axis.step(grid_s / unit_s, middle, where="post", color=COLOURS[index], linestyle=LINES[0])
        axis.set_ylabel(label)
        axis.set_ylim(0.0, max(1.05 * float(np.nanmax(high)), 1e-3))
        axis.margins(x=0.0)
        _warmup(axis, result, unit_s, say=index == 0)
    axes[-1].yaxis.get_major_locator().set_params(integer=True)
    axes[-1].set_xlabel(f"simulated time ({unit})")


def _levels(samples: Floats, column: int, grid_s: Floats) -> Floats:
    """(replications, points) levels, each held from one sample to the next; NaN before the first."""
    rows = []
    for replication in np.unique(samples[:, 0]):
        mine = samples[samples[:, 0] == replication]
        index = np.searchsorted(mine[:, 1], grid_s, side="right") - 1
        rows.append(np.where(index < 0, mine[0, column], mine[np.maximum(index, 0), column]))
    return np.array(rows)


def _warmup(axis: Any, result: Result, unit_s: float, *, say: bool) -> None:
    warmup_s = result.scenario.run.warmup_s
    if warmup_s <= 0.0:
        return
    axis.axvspan(0.0, warmup_s / unit_s, color=FAINT, alpha=0.12, linewidth=0)
    if say:
        axis.annotate(
            "warm-up, not measured",
            (0.0, 1.0),
            xycoords="axes fraction",
            xytext=(4, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=INK,
        )


def _unit(end_s: float) -> tuple[float, str]:
    if end_s >= 6 * HOUR_S:
        return HOUR_S, "h"
    return (MINUTE_S, "min") if end_s >= 10 * MINUTE_S else (1.0, "s")
