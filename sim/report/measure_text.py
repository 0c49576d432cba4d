"""`sim calibrate --measure`: what the GPUs of this machine achieve."""

from __future__ import annotations

from pathlib import Path

from rich.console import RenderableType

from sim.report.terminal import columns, heading, paragraph, render
from sim.study.calibrate.measure.measure import MeasuredMachine

HEAD = ("coefficient", "unit", "value", "range", "meaning")


def measure_text(found: MeasuredMachine, path: Path) -> str:
    """The coefficients, and the constants that follow from them."""
    rows = [
        (item.name, item.unit, f"{item.value:.4g}", f"{item.low:.4g} to {item.high:.4g}", item.meaning)
        for item in found.coefficients
    ]
    parts: list[RenderableType] = [
        paragraph(f"{found.gpus} x {found.device} ({found.gpu})", "bold", 0),
        columns(HEAD, rows, "llrrl", wrap=(0, 4), gap=2),
    ]
    if found.constants:
        constants = [
            (item.engine, item.name, f"{item.value:.3g}", f"{item.low:.3g} to {item.high:.3g}")
            for item in found.constants
        ]
        parts += [
            heading("Constants of the engine"),
            columns(("engine", "constant", "value", "range over kernels"), constants, "llrr"),
            paragraph(
                f"Written to {path}. A scenario uses it with deployment.engine.calibration: {path}. Experts, their "
                "traffic and the host are not timed: results of a served run (--bench) tell them."
            ),
        ]
    else:
        parts.append(
            paragraph(
                f"Written to {path}. No scenario was named, so it holds no constants of an engine: with one, time "
                "factors of attention and projections follow."
            )
        )
    return render(parts)
