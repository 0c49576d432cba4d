"""Unavailability against what a token costs, one line per size of the fleet, one mark per number of spares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.figures import plain_number
from sim.report.style import INK, drawn, line_style, save
from sim.study.availability.cost import EFFECTIVE

if TYPE_CHECKING:
    import pandas as pd

SIZE: Final = (7.6, 4.8)
LEAST: Final = 1e-6


def save_spares_plot(frame: pd.DataFrame, option: str, name: str, path: Path) -> None:
    """Draw the picture of one way to pay into a file.

    Parameters
    ----------
    frame : of `sim.study.availability.cost`.
    option : way to pay, as in its column.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(figure={"figsize": SIZE}) as (figure, axes):
        draw_spares(axes[0], frame, option)
        figure.suptitle(f"{name}: what spare nodes buy", x=0.01, ha="left", fontweight="bold")
        save(figure, path)


def draw_spares(axis: Any, frame: pd.DataFrame, option: str) -> None:
    """Cost on the x axis, share of time short of replicas on a log axis; the digit is the number of spares."""
    for index, count in enumerate(frame["replicas"].drop_duplicates()):
        rows = frame[frame["replicas"] == count]
        short = 1.0 - rows[rows["metric"] == "available_frac"].set_index("spares")["value"].astype(float)
        cost = (
            rows[(rows["metric"] == EFFECTIVE) & (rows["option"] == option)].set_index("spares")["value"].astype(float)
        )
        short = short.clip(lower=LEAST).loc[cost.index]
        label = "1 replica" if count == 1 else f"{count} replicas"
        axis.plot(cost, short, label=label, **line_style(index))
        for spares, x in cost.items():
            axis.annotate(
                str(spares), (x, short[spares]), xytext=(5, 4), textcoords="offset points", fontsize=8.5, color=INK
            )
    axis.set_yscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: f"${plain_number(value)}")
    axis.set_xlabel(f"cost per million good output tokens, downtime counted ({option})")
    axis.set_ylabel("share of time without all replicas")
    axis.legend(loc="best", title="digits: spare nodes")
