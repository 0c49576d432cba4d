"""Deployments side by side: latency, throughput and cost, each with its interval."""

from __future__ import annotations

from contextlib import AbstractContextManager
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.costs import option_name
from sim.report.style import COLOURS, INK, MARKERS, drawn, save

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS: Final = (
    ("ttft_p95_s", "TTFT p95 (s)"),
    ("tpot_p95_s", "TPOT p95 (s)"),
    ("output_throughput_tokens_per_s_per_gpu", "output (tokens/s per GPU)"),
    ("slo_attainment_frac", "requests within the service level (%)"),
    ("killed_requests_per_fault", "requests killed by one lost GPU"),
)
PERCENT: Final = 100.0
COST: Final = ("cost_usd_per_mtok_output", "$ per million output tokens")
WIDTH: Final = 11.0
ARROW_POINTS: Final = 46  # length of the arrow in place of an upper end
ROOM_FOR_ARROW: Final = 1.25
OPEN: Final = "no upper end"


def save_precision_plot(frame: pd.DataFrame, path: Path) -> None:
    """Draw deployments side by side into a file.

    Parameters
    ----------
    frame : tidy, with the columns scenario, option, metric, value, low, high, note; one scenario per deployment.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with _panels(frame) as (figure, axes):
        draw_precisions(axes, frame)
        save(figure, path)


def precision_figure(frame: pd.DataFrame) -> Figure:
    """The plot as a matplotlib figure, for notebooks."""
    with _panels(frame) as (figure, axes):
        draw_precisions(axes, frame)
        return figure


def draw_precisions(axes: list[Any], frame: pd.DataFrame) -> None:
    """Draw one panel per figure into the axes; deployments from top to bottom in the order of the frame."""
    names = [str(name) for name in dict.fromkeys(frame["scenario"])]
    for axis, (metric, label) in zip(axes, PANELS, strict=False):
        rows = frame[frame["metric"] == metric].copy()
        if metric.endswith("_frac"):
            rows[["value", "low", "high"]] = PERCENT * rows[["value", "low", "high"]].astype(float)
        _points(axis, rows, names, 0, 0.0, None)
        axis.set_xlabel(label)
        if rows.empty:
            axis.annotate("not part of this comparison", (0.02, 0.5), xycoords="axes fraction", fontsize=8, color=INK)
    costs = frame[frame["metric"] == COST[0]]
    options = list(dict.fromkeys(costs["option"]))
    for index, option in enumerate(options):
        shift = 0.5 * (index - (len(options) - 1) / 2.0) / max(1, len(options) - 1) if len(options) > 1 else 0.0
        _points(axes[-1], costs[costs["option"] == option], names, index, shift, option_name(str(option)))
    axes[-1].set_xlabel(COST[1])
    if options:
        axes[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for axis in axes:
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.margins(x=0.08)
        axis.set_xlim(left=0.0)
        if any(text.get_text() == OPEN for text in axis.texts):
            axis.set_xlim(right=ROOM_FOR_ARROW * axis.get_xlim()[1])
    axes[3].set_xlim(right=105.0)


def _panels(frame: pd.DataFrame) -> AbstractContextManager[tuple[Figure, list[Any]]]:
    height = 2.2 + 1.1 * frame["scenario"].nunique()
    return drawn(3, 2, sharey=True, figure={"figsize": (WIDTH, 1.35 * height)})


def _points(axis: Any, rows: pd.DataFrame, names: list[str], index: int, shift: float, label: str | None) -> None:
    """One point per deployment, with its interval; the reason where there is no figure."""
    for name, value, low, high, note in zip(
        rows["scenario"], rows["value"], rows["low"], rows["high"], rows["note"], strict=True
    ):
        place = names.index(str(name)) + shift
        if _missing(value):
            axis.annotate(
                f"n/a: {note}", (0.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=INK
            )
            continue
        style = {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
        axis.errorbar([value], [place], xerr=_bars(value, low, high), linestyle="none", capsize=3, label=label, **style)
        if _missing(high) and not _missing(low):
            _open_end(axis, float(value), place, style["color"])
        label = None


def _missing(value: float | None) -> bool:
    """A frame holds a missing figure as None or NaN."""
    return value is None or isnan(value)


def _bars(value: float, low: float | None, high: float | None) -> list[list[float]]:
    """Lengths of the interval on both sides; none on a side without an end."""
    left = 0.0 if low is None or isnan(low) else max(0.0, value - low)
    right = 0.0 if high is None or isnan(high) else max(0.0, high - value)
    return [[left], [right]]


def _open_end(axis: Any, value: float, place: float, colour: str) -> None:
    """An arrow to the right: the interval has no upper end that the samples could give."""
    arrow = {"arrowstyle": "<-", "color": colour, "linestyle": ":", "linewidth": 1.5, "shrinkA": 0, "shrinkB": 3}
    axis.annotate("", (value, place), xytext=(ARROW_POINTS, 0), textcoords="offset points", arrowprops=arrow)
    words = {"va": "bottom", "fontsize": 7, "color": INK}
    axis.annotate(OPEN, (value, place), xytext=(6, 3), textcoords="offset points", **words)
