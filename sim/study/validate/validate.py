"""`sim validate`: every measured point simulated, its errors, and what could not be modelled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim import __version__
from sim.study.files import write_text
from sim.study.validate.check import Check
from sim.study.validate.coverage import Coverage, coverage, predict_draw
from sim.study.validate.error import Comparison, by_family, compare
from sim.study.validate.miss import Miss, misses
from sim.study.validate.options import option_checks
from sim.study.validate.point import MeasuredPoint, read_points
from sim.study.validate.predict import Predicted, predict
from sim.study.validate.system import NotModelledError, System, system_of
from sim.study.validate.target import Standing, standings
from sim.study.validate.techniques import phase_checks, technique_checks, twins
from sim.study.workers import Progress, spread


@dataclass(frozen=True, slots=True)
class Validation:
    """What validation found.

    Attributes
    ----------
    comparisons : one per point and metric.
    skipped : (point, reason) of those that cannot be modelled.
    points : how many were read.
    checks : phases alone, ratios of techniques and of options, each with a target of its own.
    coverage : share of points inside their 80 % model interval by family and metric, where it was asked for.
    """

    comparisons: tuple[Comparison, ...]
    skipped: tuple[tuple[str, str], ...]
    points: int
    checks: tuple[Check, ...] = ()
    coverage: tuple[Coverage, ...] = ()

    @property
    def standings(self) -> list[Standing]:
        """Every family and metric against its target."""
        return standings(self.comparisons)

    @property
    def misses(self) -> list[Miss]:
        """Points behind missed targets, and their cause."""
        return misses(self.comparisons)

    def as_dict(self) -> dict[str, Any]:
        """Plain data: summaries, standings, misses, checks, coverage, points, skipped."""
        return {
            "summaries": [asdict(summary) for summary in by_family(self.comparisons)],
            "standings": [asdict(entry) for entry in self.standings],
            "misses": [
                {"point": miss.comparison.point, "metric": miss.comparison.metric, "cause": miss.cause}
                for miss in self.misses
            ],
            "checks": [{**asdict(entry), "error_frac": entry.error_frac, "met": entry.met} for entry in self.checks],
            "coverage": [asdict(entry) for entry in self.coverage],
            "points": [{**asdict(entry), "error_frac": entry.error_frac} for entry in self.comparisons],
            "skipped": [{"point": point, "reason": reason} for point, reason in self.skipped],
        }


def validate(
    path: Path,
    *,
    cache: Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    draws: int = 0,
) -> Validation:
    """Simulate every point of a file and compare.

    Parameters
    ----------
    path : CSV with the columns of `sim.study.validate.point`.
    cache : folder that keeps the prediction of each point; one is used again while scenario and version are the same.
    workers : processes; 0 for one per core. The figures are the same for any number.
    progress : called with the share of the points that is done.
    draws : draws of the model behind the model interval of each point; 0 for none.

    Raises
    ------
    ScenarioError : the file cannot be read.
    """
    points = read_points(path)
    known: list[tuple[MeasuredPoint, System]] = []
    skipped = []
    for point in points:
        try:
            known.append((point, system_of(point)))
        except NotModelledError as error:
            skipped.append((point.name, str(error)))
    pairs = twins(known)
    systems = [system for _, system in known] + [system for twin in pairs for system in (twin.using, twin.without)]
    predictions = _predictions(systems, cache, workers, progress)
    comparisons = [
        entry
        for (point, system), predicted in zip(known, predictions, strict=False)
        for entry in compare(point, system.family, predicted)
    ]
    checks = (
        *phase_checks(known, comparisons),
        *technique_checks(pairs, predictions[len(known) :]),
        *option_checks(points, comparisons),
    )
    covered: tuple[Coverage, ...] = ()
    if draws:
        tasks = [(system, draw) for _, system in known for draw in range(draws)]
        drawn = spread(predict_draw, tasks, workers=workers, progress=progress)
        covered = tuple(coverage(comparisons, _by_point(known, drawn, draws)))
    return Validation(tuple(comparisons), tuple(skipped), len(points), checks, covered)


def _by_point(
    known: Sequence[tuple[MeasuredPoint, System]], drawn: Sequence[Predicted], draws: int
) -> dict[str, Sequence[Predicted]]:
    return {point.name: drawn[index * draws : (index + 1) * draws] for index, (point, _) in enumerate(known)}


def _predictions(
    systems: Sequence[System], cache: Path | None, workers: int, progress: Progress | None
) -> list[Predicted]:
    """Predictions in order: remembered ones, then the others side by side, the longest first."""
    files = [None if cache is None else cache / f"{_key(system)}.json" for system in systems]
    found = [_read(file) for file in files]
    left = [index for index, predicted in enumerate(found) if predicted is None]
    left.sort(key=lambda index: -_work(systems[index]))
    answers = spread(_predict, [systems[index] for index in left], workers=workers, progress=progress)
    for index, predicted in zip(left, answers, strict=True):
        found[index] = predicted
        file = files[index]
        if file is not None:
            write_text(file, json.dumps(predicted))
    return [predicted for predicted in found if predicted is not None]


def _predict(system: System, progress: Callable[[float], None]) -> Predicted:
    del progress  # a run ends with its last request, so the share of its horizon says nothing
    return predict(system)


def _work(system: System) -> float:
    """Requests to simulate, roughly what a point costs."""
    return float(system.scenario.run.max_requests or 0)


def _key(system: System) -> str:
    text = f"{__version__} {_sources()} {system.gpus} {system.phase} {system.scenario.digest()}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _sources() -> str:
    """Hash of this package's code and data: a prediction is good for these alone."""
    hasher = hashlib.blake2b(digest_size=16)
    root = Path(__file__).resolve().parents[2]
    for file in sorted([*root.rglob("*.py"), *root.rglob("*.csv")]):
        hasher.update(file.read_bytes())
    return hasher.hexdigest()


def _read(file: Path | None) -> Predicted | None:
    if file is None or not file.is_file():
        return None
    found: Predicted = json.loads(file.read_text(encoding="utf-8"))
    return found
