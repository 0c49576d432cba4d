"""`sim calibrate`: the fitted constants with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from sim.report.terminal import columns, paragraph, render
from sim.study.calibrate.constants import CONSTANTS
from sim.study.calibrate.fit import FittedConstant

HEAD = ("engine and constant", "unit", "value", "80 % interval", "meaning")


def calibrate_text(found: Sequence[FittedConstant], path: Path) -> str:
    """The table, and how to use the file."""
    known = {constant.name: constant for constant in CONSTANTS}
    rows: list[tuple[str | Text, ...]] = []
    for index, constant in enumerate(found):
        if index == 0 or constant.engine != found[index - 1].engine:
            rows.append((Text(constant.engine, style="bold"), "", "", "", ""))
        about = known[constant.name]
        interval = f"{constant.low:.3g} to {constant.high:.3g}"
        rows.append((f"  {constant.name}", about.unit, f"{constant.value:.3g}", interval, about.meaning))
    note = (
        f"Written to {path}. A scenario uses it with deployment.engine.calibration: {path}. Intervals come from the "
        "scatter between families of points; with few families they are rough."
    )
    return render([columns(HEAD, rows, "llrrl", wrap=(0, 4), gap=2), paragraph(note)])
