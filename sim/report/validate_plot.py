"""Predicted against measured, one panel per metric: colour by model, marker by engine and kind, hollow on H100."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.style import COLOURS, FAINT, drawn, save
from sim.study.validate.error import METRICS, Comparison
from sim.study.validate.validate import Validation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS: Final = {"output throughput per GPU": "tokens/s"}
SIZE: Final = (12.0, 8.0)
# (engine, kind) -> marker
SHAPES: Final = {
    ("sglang", "aggregated"): "o",
    ("sglang", "aggregated with drafts"): "h",
    ("sglang", "disaggregated"): "D",
    ("tensorrt-llm", "aggregated"): "s",
    ("tensorrt-llm", "aggregated with drafts"): "P",
    ("tensorrt-llm", "disaggregated"): "d",
    ("vllm", "aggregated"): "^",
    ("vllm", "aggregated with drafts"): "*",
    ("vllm", "disaggregated"): "v",
}


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
    models = sorted({family[0] for family in families})
    handles: dict[str, Any] = {}
    for axis, metric in zip(axes, METRICS, strict=False):
        points = [entry for entry in found.comparisons if entry.metric == metric]
        counts = Counter(entry.family for entry in points)
        for family in sorted(counts, key=lambda family: -counts[family]):  # families of few points lie on top
            own = [entry for entry in points if entry.family == family]
            handles[", ".join(family)] = _scatter(axis, own, COLOURS[models.index(family[0]) % len(COLOURS)])
        _frame(axis, points, f"{metric} ({UNITS.get(metric, 'ms')})")
    axes[-1].axis("off")
    names = [name for name in map(", ".join, families) if name in handles]
    axes[-1].legend([handles[name] for name in names], names, loc="upper left", fontsize=7.5)
    figure.suptitle("Simulated against measured; the line is equality, the dotted ones a factor of two", fontsize=10.5)


def _scatter(axis: Any, points: list[Comparison], colour: str) -> Any:
    _, gpu, engine, kind = points[0].family
    return axis.plot(
        [entry.measured for entry in points],
        [entry.predicted for entry in points],
        linestyle="none",
        marker=SHAPES[engine, kind],
        color=colour,
        markerfacecolor="none" if gpu.startswith("h100") else colour,
        markersize=5.0,
        alpha=0.75,
        markeredgewidth=0.8 if gpu.startswith("h100") else 0.0,
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
