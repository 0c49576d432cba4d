"""Hours lost on each path to a service, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from sim.report.style import COLOURS, MARKERS, drawn, save

SIZE: Final = (9.5, 5.6)
LEAST_H: Final = 0.01  # left end of the axis: half a minute a year
OFFSET: Final = 0.22


def save_paths_plot(frame: pd.DataFrame, path: Path) -> None:
    """Draw one row per path and one mark per case, with 95 % intervals.

    Parameters
    ----------
    frame : tidy, with the columns case, option, metric, value, low, high.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(figure={"figsize": SIZE}) as (figure, axes):
        draw_paths(axes[0], frame[frame["metric"] == "lost_h_per_year"])
        save(figure, path)


def draw_paths(axis: Any, rows: pd.DataFrame) -> None:
    """Marks on a logarithmic axis of hours; what is below its left end is drawn there."""
    from matplotlib.ticker import FuncFormatter

    options = rows["option"].drop_duplicates().tolist()
    cases = rows["case"].drop_duplicates().tolist()
    for index, case in enumerate(cases):
        chosen = rows[rows["case"] == case].set_index("option").loc[options]
        value, low, high = (chosen[key].astype(float).clip(lower=LEAST_H) for key in ("value", "low", "high"))
        places = [place + (index - (len(cases) - 1) / 2.0) * OFFSET for place in range(len(options))]
        axis.errorbar(
            value,
            places,
            xerr=[value - low, high - value],
            fmt=MARKERS[index],
            color=COLOURS[index],
            label=case,
            capsize=2.0,
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda hours, _: f"{hours:g}"))
    axis.set_xlim(left=LEAST_H)
    axis.set_yticks(range(len(options)), options)
    axis.invert_yaxis()
    axis.set_xlabel("hours of all requests lost in a year (mean, 95 % interval)")
    axis.set_title("Own cluster, API, and one behind the other")
    axis.figure.legend(loc="outside lower center", ncols=len(cases))
