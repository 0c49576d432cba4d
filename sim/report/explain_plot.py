"""One engine step as a picture: operations by time, coloured by what bounds them."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from sim.errors import SimError
from sim.report.explain_text import batch_words, seconds_by_bound
from sim.report.figures import quantity
from sim.report.headline import model_name
from sim.report.style import COLOURS, drawn, save
from sim.simulation.explain import Explained
from sim.units import MILLISECOND

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOUNDS: Final = ("compute", "memory", "network", "launch", "host", "table")
TITLE_COLUMNS: Final = 90
HATCHES: Final = ("", "//", "..", "xx", "\\\\", "oo")


def save_explain_plot(explained: Explained, path: Path) -> None:
    """Draw the breakdown of a step into a file.

    Raises
    ------
    SimError : the scenario cannot work, so there is no step.
    RunDirectoryError : the file cannot be written.
    """
    save(explain_figure(explained), path)


def explain_figure(explained: Explained) -> Figure:
    """The breakdown of a step as a matplotlib figure.

    Raises
    ------
    SimError : as in `save_explain_plot`.
    """
    if explained.infeasible is not None:
        raise SimError(f"there is no step to draw: {explained.infeasible}")
    items = sorted(explained.operations, key=lambda item: item.seconds)
    height = 1.6 + 0.28 * len(items)
    with drawn(figure={"figsize": (9.0, height)}) as (figure, (axis,)):
        for place, item in enumerate(items):
            axis.barh(place, item.seconds / MILLISECOND, **_bar(item.bound))
            share = f" {quantity(item.seconds, 's')}, {100 * item.seconds / explained.step_s:.1f} %"
            axis.annotate(share, (item.seconds / MILLISECOND, place), va="center", fontsize=8)
        axis.set_yticks(range(len(items)), [item.name.replace("_", " ") for item in items])
        axis.grid(visible=False, axis="y")
        axis.margins(x=0.22, y=0.02)
        axis.set_xlim(left=0.0)
        axis.set_xlabel("time in the step (ms)")
        figure.suptitle(_title(explained), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        for bound, seconds in seconds_by_bound(explained.operations).items():
            axis.barh(0, 0, label=f"bound by {bound}: {quantity(seconds, 's')}", **_bar(bound))
        axis.legend(loc="lower right")
        return figure


def _bar(bound: str) -> dict[str, str]:
    """Colour and hatch of what bounds an operation."""
    index = BOUNDS.index(bound)
    return {"color": COLOURS[index], "hatch": HATCHES[index], "edgecolor": "white"}


def _title(explained: Explained) -> str:
    """What is drawn, in lines that the picture is wide enough for."""
    sentences = (
        f"A step of {quantity(explained.step_s, 's')}: {batch_words(explained)}",
        f"{model_name(explained.planned.spec)} in {explained.planned.memory.weights}, {explained.planned.layout}",
    )
    return "\n".join(line for sentence in sentences for line in wrap(sentence, TITLE_COLUMNS))
