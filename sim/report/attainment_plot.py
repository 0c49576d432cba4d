"""Service-level attainment against load, with and without faults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.figures import plain_number
from sim.report.style import BAND, INK, drawn, line_style, save
from sim.scenario.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

SIZE: Final = (10.4, 4.4)
PERCENT: Final = 100.0
CURVES: Final = (
    ("slo_attainment_without_faults_frac", "without faults"),
    ("slo_attainment_frac", "with faults, over a year"),
)
WORST: Final = (
    ("worst_hour_bad_mean_frac", "worst hour of a year, in the mean"),
    ("worst_hour_bad_p95_frac", "exceeded in one year of twenty"),
)


def save_attainment_plot(frame: pd.DataFrame, scenario: Scenario, path: Path) -> None:
    """Draw attainment and the worst hour against load into a file.

    Parameters
    ----------
    frame : of `sim.study.annual.attainment`.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(1, 2, figure={"figsize": SIZE}) as (figure, axes):
        draw_attainment(figure, axes, frame, scenario)
        save(figure, path)


def draw_attainment(figure: Any, axes: list[Any], frame: pd.DataFrame, scenario: Scenario) -> None:
    """What is missed on a log axis, since the difference is small where all is well; the worst hour beside it."""
    missed, worst = axes
    for index, (metric, name) in enumerate(CURVES):
        _series(missed, frame[frame["metric"] == metric], index, name, missed=True)
    for index, (metric, name) in enumerate(WORST):
        _series(worst, frame[frame["metric"] == metric], index, name, missed=False)
    missed.set_yscale("log")
    missed.yaxis.set_major_formatter(lambda value, _: plain_number(value))
    missed.yaxis.set_minor_formatter(lambda value, _: plain_number(value) if f"{value:e}"[0] in "25" else "")
    limit = PERCENT * (1.0 - scenario.slo.attainment_frac)
    missed.axhline(limit, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), label="service level")
    missed.set_title("Requests outside the service level")
    worst.set_title("Bad requests in the worst hour")
    worst.set_ylim(0.0, 105.0)
    for axis in axes:
        axis.set_xlabel("offered load (requests/s)")
        axis.set_ylabel("% of requests")
        axis.legend(loc="best")
    figure.suptitle(f"{scenario.name}: attainment under faults", x=0.01, ha="left", fontweight="bold")


def _series(axis: Any, rows: pd.DataFrame, index: int, name: str, *, missed: bool) -> None:
    rows = rows.sort_values("rate_rps")
    rates = rows["rate_rps"].astype(float)
    values, low, high = (rows[column].astype(float) for column in ("value", "low", "high"))
    low, high = low.fillna(values), high.fillna(values)
    if missed:
        values, low, high = 1.0 - values, 1.0 - high, 1.0 - low
    style = line_style(index)
    axis.fill_between(rates, PERCENT * low, PERCENT * high, color=style["color"], alpha=BAND, linewidth=0)
    axis.plot(rates, PERCENT * values, label=name, **style)
