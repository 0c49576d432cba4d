"""`sim calibrate`: what is fitted or timed, the file that is written, and what is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sim.report.calibrate_text import calibrate_text
from sim.report.console import progress_bar
from sim.report.measure_text import measure_text
from sim.report.refit_text import refit_text
from sim.scenario.scenario import Scenario
from sim.study.calibrate.bench.read import read_bench
from sim.study.calibrate.calibrate import calibrate, write_rows, write_uncertainty
from sim.study.calibrate.measure.measure import measure
from sim.study.calibrate.refit import refit
from sim.study.files import write_text

LINEARISED: Final = "linearised around the fit; residuals from families left out one at a time"
Said = tuple[str, dict[str, Any]]
"""The text for people, and the same as plain data."""


def calibrate_bench(scenario: Scenario, files: Sequence[Path], out: Path, workers: int) -> Said:
    """Refit the constants of a scenario's engine on results of its own cluster."""
    bench = read_bench(files)
    with progress_bar("calibrate") as progress:
        found = refit(scenario, bench, workers=workers, progress=progress)
    write_rows(out, found.constants, f"sim calibrate {scenario.name} on {_names(files)}", _month())
    return refit_text(found, out), {"out": str(out), **found.as_dict()}


def calibrate_points(points: Path, out: Path, workers: int, uncertainty: Path | None = None) -> Said:
    """Fit every engine of a file of points; with `uncertainty`, also write there what the points leave open."""
    with progress_bar("calibrate") as progress:
        found = calibrate(points, workers=workers, progress=progress)
    source = f"sim calibrate on {points.name}"
    write_rows(out, found, source, _month())
    if uncertainty is not None:
        write_uncertainty(uncertainty, points, found, f"{source}: {LINEARISED}", _month(), workers=workers)
    return calibrate_text(found, out), {"out": str(out), "constants": [asdict(constant) for constant in found]}


def calibrate_measure(scenario: Scenario | None, out: Path) -> Said:
    """Time kernels on this machine."""
    with progress_bar("measure") as progress:
        found = measure(scenario, progress)
    write_text(out, found.text(_month()))
    return measure_text(found, out), {"out": str(out), **asdict(found)}


def _names(files: Sequence[Path], most: int = 3) -> str:
    shown = ", ".join(path.name for path in files[:most])
    return shown if len(files) <= most else f"{shown} and {len(files) - most} more"


def _month() -> str:
    return datetime.now(UTC).strftime("%Y-%m")
