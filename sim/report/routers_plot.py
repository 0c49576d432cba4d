"""Hit rate and tail of the time to first token under each router policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.style import COLOURS, FAINT, drawn, save

if TYPE_CHECKING:
    import pandas as pd

SIZE: Final = (11.0, 3.6)
PERCENT: Final = 100.0
PANELS: Final = (
    ("prefix_hit_frac", "Prompt found in the prefix cache", "%"),
    ("ttft_p95_s", "TTFT, 95th percentile", "s"),
    ("ttft_p99_s", "TTFT, 99th percentile", "s"),
)


def save_routers_plot(frame: pd.DataFrame, path: Path) -> None:
    """Draw one row per policy, with 95 % intervals, into a file.

    Parameters
    ----------
    frame : tidy, with the columns scenario (the policy), metric, value, low, high.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(1, len(PANELS), sharey=True, figure={"figsize": SIZE}) as (figure, axes):
        draw_routers(axes, frame)
        save(figure, path)


def draw_routers(axes: list[Any], frame: pd.DataFrame) -> None:
    """Bars, the first policy on top; a missing value has no bar."""
    names = list(frame["scenario"].drop_duplicates())
    for index, (axis, (metric, title, unit)) in enumerate(zip(axes, PANELS, strict=True)):
        rows = frame[frame["metric"] == metric].set_index("scenario").reindex(names)
        numbers = rows[["value", "low", "high"]].astype(float) * (PERCENT if metric.endswith("_frac") else 1.0)
        places = range(len(names))
        axis.barh(places, numbers["value"], color=COLOURS[index], height=0.62)
        axis.hlines(places, numbers["low"], numbers["high"], color=FAINT, lw=2.0)
        axis.set_title(title)
        axis.set_xlabel(unit)
        axis.set_yticks(places, names)
        axis.grid(visible=False, axis="y")
        axis.set_xlim(left=0.0)
    axes[0].invert_yaxis()
