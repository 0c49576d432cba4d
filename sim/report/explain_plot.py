"""One engine step as a picture: operations by time, coloured by what bounds them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sim.errors import SimError
from sim.report.explain_text import batch_words, seconds_by_bound
from sim.report.figures import quantity
from sim.report.style import COLOURS, drawn, save
from sim.simulation.explain import Explained
from sim.units import MILLISECOND

BOUNDS: Final = ("compute", "memory", "network", "launch", "host")
HATCHES: Final = ("", "//", "..", "xx", "\\\\")


def save_explain_plot(explained: Explained, path: Path) -> None:
    """Draw the breakdown of a step into a file.

    Raises
    ------
    SimError : the scenario cannot work, so there is no step.
    RunDirectoryError : the file cannot be written.
    """
    if explained.infeasible is not None:
        raise SimError(f"there is no step to draw: {explained.infeasible}")
    items = sorted(explained.operations, key=lambda item: item.seconds)
    height = 1.6 + 0.28 * len(items)
    totals = seconds_by_bound(explained.operations)
    with drawn(figure={"figsize": (9.0, height)}) as (figure, (axis,)):
        for place, item in enumerate(items):
            index = BOUNDS.index(item.bound)
            axis.barh(place, item.seconds / MILLISECOND, color=COLOURS[index], hatch=HATCHES[index], edgecolor="white")
            share = f" {quantity(item.seconds, 's')}, {100 * item.seconds / explained.step_s:.1f} %"
            axis.annotate(share, (item.seconds / MILLISECOND, place), va="center", fontsize=8)
        axis.set_yticks(range(len(items)), [item.name.replace("_", " ") for item in items])
        axis.grid(visible=False, axis="y")
        axis.margins(x=0.22, y=0.02)
        axis.set_xlim(left=0.0)
        axis.set_xlabel("time in the step (ms)")
        axis.set_title(
            f"{explained.planned.spec.name} in {explained.planned.memory.weights}, {explained.planned.layout}: "
            f"a step of {quantity(explained.step_s, 's')}\n{batch_words(explained)}"
        )
        for bound, seconds in totals.items():
            index = BOUNDS.index(bound)
            label = f"bound by {bound}: {quantity(seconds, 's')}"
            axis.barh(0, 0, color=COLOURS[index], hatch=HATCHES[index], edgecolor="white", label=label)
        axis.legend(loc="lower right")
        save(figure, path)
