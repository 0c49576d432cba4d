"""The course of one fault: capacity, queue, time to first token, retries and bad requests against time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.figures import plain_number
from sim.report.style import COLOURS, FAINT, INK, LINES, drawn, save
from sim.scenario.scenario import Scenario
from sim.units import MILLISECOND, MINUTE_S

if TYPE_CHECKING:
    import pandas as pd

SIZE: Final = (9.0, 9.4)
PERCENT: Final = 100.0
PANELS: Final = (
    ("capacity_frac", "capacity\nthere (%)", PERCENT),
    ("waiting", "waiting\nrequests", 1.0),
    ("ttft_p95_s", "TTFT, 95th\npercentile (s)", 1.0),
    ("retries_per_min", "retries\nper minute", 1.0),
    ("bad_frac", "requests outside the\nservice level (%)", PERCENT),
)


def save_one_fault_plot(frame: pd.DataFrame, scenario: Scenario, path: Path, event: str = "fault") -> None:
    """Draw the course of every case into a file.

    Parameters
    ----------
    frame : of `sim.study.one_fault`.
    event : what happens at time 0, in one word.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(len(PANELS), 1, sharex=True, figure={"figsize": SIZE}) as (figure, axes):
        draw_one_fault(figure, axes, frame, scenario, event)
        save(figure, path)


def draw_one_fault(figure: Any, axes: list[Any], frame: pd.DataFrame, scenario: Scenario, event: str) -> None:
    """One panel per figure, one line per case."""
    cases = list(frame["case"].drop_duplicates())
    for axis, (metric, label, factor) in zip(axes, PANELS, strict=True):
        for index, case in enumerate(cases):
            rows = frame[(frame["case"] == case) & (frame["metric"] == metric)]
            axis.step(
                rows["time_s"] / MINUTE_S,
                factor * rows["value"],
                where="mid",
                color=COLOURS[index % len(COLOURS)],
                linestyle=LINES[index % len(LINES)],
                label=case,
            )
        axis.set_ylabel(label)
        axis.axvline(0.0, color=FAINT, linewidth=1.0)
        axis.margins(x=0.0)
        if metric != "ttft_p95_s":
            axis.set_ylim(bottom=0.0)
    axes[0].set_ylim(0.0, 105.0)
    _logarithmic(axes[2], scenario)
    axes[-1].set_ylim(-2.0, 105.0)
    axes[-1].set_xlabel(f"minutes since the {event}; requests by their time of arrival")
    figure.suptitle(f"{scenario.name}: one {event}", x=0.01, ha="left", fontweight="bold")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(cases))


def _logarithmic(axis: Any, scenario: Scenario) -> None:
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda value, _: plain_number(value))
    axis.yaxis.set_minor_formatter(lambda value, _: plain_number(value) if f"{value:e}"[0] in "25" else "")
    if scenario.slo.ttft_ms is not None:
        axis.axhline(scenario.slo.ttft_ms * MILLISECOND, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
        axis.annotate(
            "service level",
            (1.0, scenario.slo.ttft_ms * MILLISECOND),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=INK,
        )
