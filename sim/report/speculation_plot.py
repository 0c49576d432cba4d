"""Gain of speculative decoding against the number of requests at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.style import BAND, drawn, line_style, save

if TYPE_CHECKING:
    import pandas as pd

SIZE: Final = (11.0, 4.4)
PERCENT: Final = 100.0
PANELS: Final = (
    ("speculation_gain_frac", "Gain of output throughput by drafts", "gain (%)"),
    ("output_throughput_tokens_per_s", "Output throughput", "tokens per second"),
)


def save_speculation_plot(frame: pd.DataFrame, path: Path) -> None:
    """Draw the curves of several numbers of drafts into a file.

    Parameters
    ----------
    frame : tidy, with the columns drafts, concurrency, metric, value, low, high.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(1, 2, figure={"figsize": SIZE}) as (figure, axes):
        for axis, (metric, title, unit) in zip(axes, PANELS, strict=True):
            _draw(axis, frame[frame["metric"] == metric], gain=metric.endswith("_frac"))
            axis.set_title(title)
            axis.set_ylabel(unit)
        save(figure, path)


def _draw(axis: Any, rows: pd.DataFrame, *, gain: bool) -> None:
    """One line per number of drafts, with its 95 % interval."""
    from matplotlib.ticker import ScalarFormatter

    for drafts in sorted(rows["drafts"].astype(int).unique().tolist()):
        ordered = rows[rows["drafts"] == drafts].sort_values("concurrency")
        numbers = ordered[["value", "low", "high"]].astype(float) * (PERCENT if gain else 1.0)
        style = line_style(drafts)
        label = f"{drafts} draft{'s' if drafts != 1 else ''}" if drafts else "no drafts"
        axis.plot(ordered["concurrency"], numbers["value"], label=label, **style)
        axis.fill_between(
            ordered["concurrency"], numbers["low"], numbers["high"], color=style["color"], alpha=BAND, lw=0
        )
    if gain:
        axis.axhline(0.0, color="0.4", lw=1.0)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.set_xlabel("requests at work")
    axis.legend()
