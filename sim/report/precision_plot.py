"""Deployments side by side: latency, throughput and cost, each with its interval."""

from __future__ import annotations

from contextlib import AbstractContextManager
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
        if value is None or value != value:  # noqa: PLR0124 - a frame holds a missing figure as NaN
            axis.annotate(
                f"n/a: {note}", (0.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=INK
            )
            continue
        left, right = (value if end is None or end != end else end for end in (low, high))  # noqa: PLR0124 - as above
        axis.errorbar(
            [value],
            [place],
            xerr=[[max(0.0, value - left)], [max(0.0, right - value)]],
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linestyle="none",
            capsize=3,
            label=label,
        )
        label = None
