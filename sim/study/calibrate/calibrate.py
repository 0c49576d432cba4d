"""`sim calibrate`: fit every engine of a file of points, and write the constants as rows of the engines table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from sim.catalog.tables import HEADER
from sim.errors import ScenarioError
from sim.simulation.roles import roles_of
from sim.steptime.draft_layer import draft_problem
from sim.study.calibrate.constants import CONSTANTS
from sim.study.calibrate.fit import FittedConstant, Point, fit_engine
from sim.study.calibrate.posterior import posteriors, sensitivity
from sim.study.calibrate.posterior import rows_text as uncertainty_text
from sim.study.files import write_text
from sim.study.validate.launch import waits_before_engine
from sim.study.validate.point import MeasuredPoint, read_points
from sim.study.validate.system import NotModelledError, System, system_of
from sim.study.workers import Progress

DIGITS = 3
FITTED_KIND = "aggregated"


def calibrate(path: Path, *, workers: int = 0, progress: Progress | None = None) -> list[FittedConstant]:
    """The constants of every engine that served a point of the file.

    Raises
    ------
    ScenarioError : the file cannot be read, or none of its points can be simulated.
    """
    points = fitted_points(path)
    engines = sorted({system.family[2] for _, system in points})
    if not engines:
        raise ScenarioError("has no point that can be simulated", file=str(path))
    found = []
    for done, engine in enumerate(engines):
        if progress is not None:
            progress(done / len(engines))
        found += fit_engine(engine, points, workers=workers)
    return found


def fitted_points(path: Path) -> list[Point]:
    """Points of a file that constants may be fitted on."""
    points: list[Point] = []
    for point in read_points(path):
        try:
            system = system_of(point)
        except NotModelledError:
            continue
        if _fit_for(point, system):
            points.append((point, system))
    return points


def write_uncertainty(
    path: Path, points: Path, found: Sequence[FittedConstant], source: str, date: str, *, workers: int = 0
) -> None:
    """Write what the points leave open of the fitted constants, as rows of the table that model draws read.

    Raises
    ------
    RunDirectoryError : it cannot be written.
    """
    known = fitted_points(points)
    engines: dict[str, dict[str, float]] = {constant.engine: {} for constant in found}
    for constant in found:
        engines[constant.engine][constant.name] = constant.value
    laws = posteriors([(name, sensitivity(name, values, known, workers=workers)) for name, values in engines.items()])
    write_text(path, uncertainty_text(laws, source, date))


def _fit_for(point: MeasuredPoint, system: System) -> bool:
    """Whether the constants alone explain a point.

    Drafts need an acceptance length, pools a KV transfer, and a row of a model that can draft must say that it did not.
    Prompts that wait before the engine say nothing of the engine.
    """
    if system.family[3] != FITTED_KIND or waits_before_engine(point):
        return False
    can_draft = draft_problem(roles_of(system.scenario)[0].planned.spec) is None
    return not (can_draft and point.words["spec_decode"].startswith("unknown"))


def rows_text(found: Sequence[FittedConstant], source: str, date: str) -> str:
    """The constants as a CSV with the columns of the catalog."""
    units = {constant.name: (constant.unit, constant.meaning) for constant in CONSTANTS}
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    for constant in found:
        unit, meaning = units[constant.name]
        figures = [f"{figure:.{DIGITS}g}" for figure in (constant.value, constant.low, constant.high)]
        place = [constant.engine, constant.name, figures[0], unit, *figures[1:]]
        writer.writerow([*place, source, date, "measured", meaning])
    return stream.getvalue()


def write_rows(path: Path, found: Sequence[FittedConstant], source: str, date: str) -> None:
    """Write `rows_text` into a file.

    Raises
    ------
    RunDirectoryError : it cannot be written.
    """
    write_text(path, rows_text(found, source, date))
