"""Predicted against measured, one panel per metric, one colour and marker per family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.style import FAINT, drawn, line_style, save
from sim.study.validate.error import METRICS, Comparison
from sim.study.validate.validate import Validation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS: Final = {"output throughput per GPU": "tokens/s"}
SIZE: Final = (12.0, 8.0)


def save_validate_plot(found: Validation, path: Path) -> None:
    """Draw the picture into a file.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(2, 3, figure={"figsize": SIZE}) as (figure, axes):
        _draw(figure, axes, found)
        save(figure, path)


def _draw(figure: Figure, axes: list[Any], found: Validation) -> None:
    families = sorted({entry.family for entry in found.comparisons})
    handles: dict[str, Any] = {}
    for axis, metric in zip(axes, METRICS, strict=False):
        points = [entry for entry in found.comparisons if entry.metric == metric]
        for index, family in enumerate(families):
            own = [entry for entry in points if entry.family == family]
            if own:
                handles[", ".join(family)] = _scatter(axis, own, index)
        _frame(axis, points, f"{metric} ({UNITS.get(metric, 'ms')})")
    axes[-1].axis("off")
    axes[-1].legend(handles.values(), handles.keys(), loc="upper left", fontsize=7.5)
    figure.suptitle("Simulated against measured; the line is equality, the dotted ones a factor of two", fontsize=10.5)


def _scatter(axis: Any, points: list[Comparison], index: int) -> Any:
    style = line_style(index)
    return axis.plot(
        [entry.measured for entry in points],
        [entry.predicted for entry in points],
        linestyle="none",
        marker=style["marker"],
        color=style["color"],
        markersize=4.0,
        alpha=0.7,
        markeredgewidth=0.0,
    )[0]


def _frame(axis: Any, points: list[Comparison], title: str) -> None:
    axis.set_title(title)
    axis.set_xlabel("measured")
    axis.set_ylabel("simulated")
    axis.set_xscale("log")
    axis.set_yscale("log")
    if not points:
        return
    values = [value for entry in points for value in (entry.measured, entry.predicted) if value > 0.0]
    low, high = min(values) / 1.3, max(values) * 1.3
    for factor, dots in ((1.0, "-"), (2.0, ":"), (0.5, ":")):
        axis.plot([low, high], [factor * low, factor * high], color=FAINT, linestyle=dots, linewidth=1.0, zorder=0)
    axis.set_xlim(low, high)
    axis.set_ylim(low, high)
