"""Downtime by cause, and unavailability against the number of spare nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.figures import plain_number
from sim.report.style import COLOURS, INK, drawn, line_style, save
from sim.stats.estimate import Estimate
from sim.study.availability.availability import Availability
from sim.study.availability.causes import FAULT, PLANNED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE: Final = (11.0, 4.6)
SHOWN_FRAC: Final = 1e-4  # of all downtime: less has no bar
LEAST: Final = 1e-7  # unavailability that the axis still shows
KINDS: Final = {FAULT: "faults", PLANNED: "planned work"}


def save_availability_plot(found: Availability, path: Path) -> None:
    """Draw both pictures into one file.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(1, 2, figure={"figsize": SIZE}) as (figure, axes):
        draw_availability(figure, axes, found)
        save(figure, path)


def availability_figure(found: Availability) -> Figure:
    """Both pictures, for a notebook."""
    with drawn(1, 2, figure={"figsize": SIZE}) as (figure, axes):
        draw_availability(figure, axes, found)
        return figure


def draw_availability(figure: Any, axes: list[Any], found: Availability) -> None:
    """Bars of replica-hours on the left, unavailability on a log axis on the right."""
    _draw_causes(axes[0], found)
    _draw_spares(axes[1], found)
    title = f"{found.scenario.name}: availability, {found.fleets:,} fleets over {plain_number(found.years)} years"
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")


def _draw_causes(axis: Any, found: Availability) -> None:
    total = sum(line.down_h.value or 0.0 for line in found.causes)
    lines = [line for line in found.causes if (line.down_h.value or 0.0) > SHOWN_FRAC * total][::-1]
    kinds = [*KINDS, "site"]
    for place, line in enumerate(lines):
        value = line.down_h.value or 0.0
        index = kinds.index(line.kind)
        low, high = _ends(line.down_h)
        axis.barh(
            place,
            value,
            xerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
            color=COLOURS[index],
            hatch=("", "//", "xx")[index],
            edgecolor="white",
            error_kw={"ecolor": INK, "elinewidth": 1.0, "capsize": 2},
            label=KINDS.get(line.kind, "site outages"),
        )
    axis.set_yticks(range(len(lines)), [line.cause.replace("_", " ") for line in lines])
    axis.set_xlabel("replica-hours down per year, whole fleet")
    axis.set_title("Downtime by cause")
    axis.grid(visible=False, axis="y")
    axis.set_xlim(left=0.0)
    handles, labels = axis.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    if len(unique) > 1:
        axis.legend(unique.values(), unique.keys(), loc="lower right")


def _ends(estimate: Estimate) -> tuple[float, float]:
    value = estimate.value or 0.0
    return (
        value if estimate.low is None else max(0.0, estimate.low),
        value if estimate.high is None else estimate.high,
    )


def _draw_spares(axis: Any, found: Availability) -> None:
    spares = [line.spares for line in found.spares]
    values = [1.0 - (line.up_frac.value or 0.0) for line in found.spares]
    ends = [tuple(1.0 - end for end in reversed(_ends(line.up_frac))) for line in found.spares]
    errors = [
        [max(0.0, v - max(low, LEAST)) for v, (low, _) in zip(values, ends, strict=True)],
        [max(0.0, high - v) for v, (_, high) in zip(values, ends, strict=True)],
    ]
    axis.errorbar(spares, values, yerr=errors, label="simulated, 95 % interval", capsize=3, **line_style(0))
    replicas = len(found.plan.nodes)
    every = "" if found.needed == replicas else f", all {replicas} up"  # theory and trace know no smaller number
    series = [
        ("theory, with restarts and planned work", [1.0 - line.theory.all_up_frac for line in found.spares]),
        ("theory, nodes alone", [1.0 - line.theory.nodes_frac for line in found.spares]),
    ]
    if found.trace is not None:
        cells = [line.trace for line in found.spares]
        series.append(("recorded trace, nodes alone", [1.0 - cell.all_sets for cell in cells if cell is not None]))
    for index, (label, numbers) in enumerate(series, start=1):
        axis.plot(
            spares,
            [value if value > LEAST else float("nan") for value in numbers],
            label=label + every,
            **line_style(index),
        )
    axis.set_yscale("log")
    axis.set_xticks(spares)
    axis.set_xlabel("spare nodes")
    axis.set_ylabel(f"share of time with fewer than {found.needed} of {replicas} up")
    axis.set_title("Unavailability against spares")
    axis.legend(loc="best")
