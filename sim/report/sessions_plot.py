"""Hit rate, time to first token and cost against the number of sessions at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.style import BAND, drawn, line_style, save

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SIZE: Final = (11.0, 7.6)
PERCENT: Final = 100.0
COST_RANGE: Final = 100.0  # dearest over cheapest token that the picture shows
PANELS: Final = (
    ("prefix_hit_frac", None, "Prompt tokens found in the prefix cache", "%"),
    ("ttft_p95_s", None, "Time to first token, 95th percentile", "TTFT (s)"),
    ("slo_attainment_frac", None, "Requests within the service level", "%"),
    ("cost_usd_per_mtok_output", "on_demand", "Effective cost of output, rented on demand", "$ per million tokens"),
)


def save_sessions_plot(frame: pd.DataFrame, path: Path) -> None:
    """Draw the curves of several deployments into a file.

    Parameters
    ----------
    frame : tidy, with the columns scenario, sessions, option, metric, value, low, high.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(2, 2, sharex=True, figure={"figsize": SIZE}) as (figure, axes):
        draw_sessions(axes, frame)
        save(figure, path)


def sessions_figure(frame: pd.DataFrame) -> Figure:
    """The plot as a matplotlib figure, for notebooks."""
    with drawn(2, 2, sharex=True, figure={"figsize": SIZE}) as (figure, axes):
        draw_sessions(axes, frame)
        return figure


def draw_sessions(axes: list[Any], frame: pd.DataFrame) -> None:
    """One panel per figure, one line per deployment, with its 95 % interval; a missing value is a gap."""
    for axis, (metric, option, title, unit) in zip(axes, PANELS, strict=True):
        rows = frame[(frame["metric"] == metric) & ((frame["option"] == option) if option else True)]
        scale = PERCENT if metric.endswith("_frac") else 1.0
        for index, (name, line) in enumerate(rows.groupby("scenario", sort=False)):
            line = line.sort_values("sessions")  # noqa: PLW2901 - the same rows in the order of the axis
            numbers = line[["value", "low", "high"]].astype(float) * scale
            style = line_style(index)
            axis.plot(line["sessions"], numbers["value"], label=str(name), **style)
            axis.fill_between(line["sessions"], numbers["low"], numbers["high"], color=style["color"], alpha=BAND, lw=0)
        axis.set_title(title)
        axis.set_ylabel(unit)
        _scale(axis, metric, rows["value"].astype(float))
    axes[0].legend(loc="lower left")
    for axis in axes[2:]:
        axis.set_xlabel("sessions at a time")


def _scale(axis: Any, metric: str, values: pd.Series[float]) -> None:
    from matplotlib.ticker import ScalarFormatter

    if metric.endswith("_frac"):
        axis.set_ylim(0.0, 1.04 * PERCENT)
        return
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(ScalarFormatter())
    axis.xaxis.set_major_formatter(ScalarFormatter())
    if metric.startswith("cost") and values.notna().any():
        axis.set_ylim(0.8 * values.min(), min(1.3 * values.max(), COST_RANGE * values.min()))
