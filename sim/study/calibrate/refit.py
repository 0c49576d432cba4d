"""`sim calibrate SCENARIO --bench`: the engine's constants of one cluster, refitted on its own measurements.

What is believed beforehand are the constants that the scenario would run with; measurements pull them away from there
as far as they say something about them. Half of the measurements are held out (of four in order of load the middle
two), and say how far the constants carry. Intervals (80 %) come from the scatter between measurements, what a repeated
measurement would show at best, and the pull of what was believed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import t as student

from sim.catalog.tables import number
from sim.errors import ScenarioError
from sim.scenario.scenario import Scenario
from sim.simulation.engine_constants import constant as scenario_constant
from sim.study.calibrate.bench.read import Bench
from sim.study.calibrate.bench.run import UnusableRunError
from sim.study.calibrate.bench.system import bench_cluster, bench_point, bench_system
from sim.study.calibrate.constants import CONSTANTS, Fitted
from sim.study.calibrate.fit import BELIEF, CLIP, DIFFERENCE, SOFT_FROM, WEIGHTS, FittedConstant, deviations
from sim.study.calibrate.observation import (
    STEP_TIME,
    Constants,
    MeasuredStep,
    Observation,
    ServedRun,
    comparisons,
)
from sim.study.validate.error import Comparison
from sim.study.workers import Progress

METRICS: Final = {**WEIGHTS, STEP_TIME: 1.0}
REPEATS: Final = {
    "output throughput per GPU": "throughput_repeat_frac",
    "TPOT": "tpot_repeat_frac",
    "TTFT": "ttft_repeat_frac",
    "E2EL": "e2el_repeat_frac",
    STEP_TIME: "step_repeat_frac",
}
FEWEST_TO_HOLD_OUT = 4
MOST_FITTED = 24  # further ones cost time and say little; they are counted in the errors all the same
LOSSES: Final[tuple[tuple[Literal["linear", "soft_l1"], int], ...]] = (("linear", 8), ("soft_l1", 8))
"""Losses and steps: first the plain one, which finds the way from afar; then one that no run gone wrong can bend."""
ROOM = 2.0  # of the scale of a constant that adds time, so that differences around zero are seen


@dataclass(frozen=True, slots=True)
class Refit:
    """What was found.

    Attributes
    ----------
    engine : whose constants.
    before : constants of the scenario.
    constants : those fitted, with 80 % intervals.
    fitted, judged : names of the measurements fitted on, and of those that the errors are of.
    held_out : whether the latter are others than the former.
    errors_before, errors_after : of the judged ones.
    left_out : (name, reason) of what could not be simulated.
    notes : what had to be derived, by name of the run.
    overriding : constants that the scenario sets itself, which go before a calibration file.
    """

    engine: str
    before: Constants
    constants: tuple[FittedConstant, ...]
    fitted: tuple[str, ...]
    judged: tuple[str, ...]
    held_out: bool
    errors_before: tuple[Comparison, ...]
    errors_after: tuple[Comparison, ...]
    left_out: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]
    overriding: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "engine": self.engine,
            "constants": [
                {
                    "name": found.name,
                    "before": self.before[found.name],
                    "value": found.value,
                    "low": found.low,
                    "high": found.high,
                }
                for found in self.constants
            ],
            "fitted": list(self.fitted),
            "judged": list(self.judged),
            "held_out": self.held_out,
            "points": [
                {
                    "point": before.point,
                    "metric": before.metric,
                    "measured": before.measured,
                    "before": before.predicted,
                    "after": after.predicted,
                }
                for before, after in zip(self.errors_before, self.errors_after, strict=True)
            ],
            "left_out": [{"point": point, "reason": reason} for point, reason in self.left_out],
            "notes": [{"point": point, "note": note} for point, note in self.notes],
            "overriding": list(self.overriding),
        }


def refit(scenario: Scenario, bench: Bench, *, workers: int = 0, progress: Progress | None = None) -> Refit:
    """The constants of the scenario's engine; the same measurements give the same values on any number of workers.

    Raises
    ------
    ScenarioError : the scenario cannot be calibrated, or no measurement is of it.
    """
    cluster, gpus = bench_cluster(scenario)
    before = {constant.name: scenario_constant(scenario, constant.name) for constant in CONSTANTS}
    with tempfile.TemporaryDirectory(prefix="sim-bench-") as folder:
        observations, left_out = _observations(cluster, gpus, bench, Path(folder))
        if not observations:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out)
            raise ScenarioError(f"no measurement can be simulated: {reasons}", file=scenario.file)
        learn, judge = split(observations)
        constants = _fit(scenario.deployment.engine.name, thinned(learn), before, workers, progress)
        after = {found.name: found.value for found in constants}
        errors = [
            tuple(entry for found in comparisons(judge, values, workers) for entry in found if entry.metric in METRICS)
            for values in (before, after)
        ]
    engine = scenario.deployment.engine
    return Refit(
        engine.name,
        before,
        tuple(constants),
        tuple(item.name for item in thinned(learn)),
        tuple(item.name for item in judge),
        learn is not judge,
        errors[0],
        errors[1],
        tuple(left_out),
        tuple((run.name, note) for run in bench.runs for note in run.notes),
        tuple(name for name in before if getattr(engine, name) is not None),
    )


def split(observations: Sequence[Observation]) -> tuple[Sequence[Observation], Sequence[Observation]]:
    """(fitted on, judged by): of four in order of load the middle two are held out; too few, and both are all of them.

    The order turns round from pair to pair, so that two prompt lengths at every load do not fall apart into halves.
    """
    ordered = sorted(observations, key=lambda item: item.order)
    if len(ordered) < FEWEST_TO_HOLD_OUT:
        return ordered, ordered
    held = [place % 4 in (1, 2) for place in range(len(ordered))]
    halves = [[item for item, out in zip(ordered, held, strict=True) if out is wanted] for wanted in (False, True)]
    return halves[0], halves[1]


def thinned(observations: Sequence[Observation]) -> list[Observation]:
    """At most `MOST_FITTED`, evenly."""
    places = np.linspace(0, len(observations) - 1, min(MOST_FITTED, len(observations))).round().astype(int)
    return [observations[place] for place in places]


def _observations(
    cluster: Scenario, gpus: int, bench: Bench, folder: Path
) -> tuple[list[Observation], list[tuple[str, str]]]:
    found: list[Observation] = [MeasuredStep(name, row, cluster) for name, row in bench.steps]
    left_out = list(bench.left_out)
    for place, run in enumerate(bench.runs):
        try:
            found.append(ServedRun(bench_point(run, gpus), bench_system(cluster, gpus, run, folder, place), run.load))
        except UnusableRunError as error:
            left_out.append((run.name, str(error)))
    return found, left_out


def _fit(
    engine: str, observations: Sequence[Observation], before: Constants, workers: int, progress: Progress | None
) -> list[FittedConstant]:
    rooms = np.array([0.0 if constant.is_factor else ROOM * constant.scale for constant in CONSTANTS])
    calls = 0

    def residuals(shifted: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if progress is not None:
            progress(min(0.99, calls / (sum(most for _, most in LOSSES) * (1 + len(CONSTANTS)))))
        values = _by_name(shifted - rooms)
        errors = np.array([_weighted(found) for found in comparisons(observations, values, workers)])
        beliefs = [BELIEF * constant.surprise(values[constant.name], before[constant.name]) for constant in CONSTANTS]
        return np.concatenate([errors.ravel(), beliefs])

    lows, highs = (np.array([getattr(constant, side) for constant in CONSTANTS]) for side in ("low", "high"))
    place = np.clip([before[constant.name] for constant in CONSTANTS], lows, highs) + rooms
    for loss, most in LOSSES:
        found = least_squares(
            residuals,
            place,
            bounds=(lows + rooms, highs + rooms),
            x_scale=[constant.scale for constant in CONSTANTS],
            loss=loss,
            f_scale=SOFT_FROM,
            diff_step=[DIFFERENCE] * len(CONSTANTS),
            max_nfev=most,
        )
        place = found.x
    groups = [place for place in range(len(observations)) for _ in METRICS]
    repeats = [weight * number("measurements", "served_run", REPEATS[metric]) for metric, weight in METRICS.items()]
    spreads = deviations(np.asarray(found.jac), found.fun, groups, np.array(repeats * len(observations)), BELIEF)
    reach = float(student.ppf(0.9, max(1, len(observations) - 1)))
    return [
        _interval(engine, constant, float(value), reach * float(deviation))
        for constant, value, deviation in zip(CONSTANTS, found.x - rooms, spreads, strict=True)
    ]


def _interval(engine: str, constant: Fitted, value: float, reach: float) -> FittedConstant:
    low, high = max(constant.low, value - reach), min(constant.high, value + reach)
    return FittedConstant(engine, constant.name, value, low, high)


def _by_name(values: np.ndarray) -> dict[str, float]:
    """Constants of a vector; rounding at the bounds leaves none below them."""
    return {constant.name: float(max(constant.low, value)) for constant, value in zip(CONSTANTS, values, strict=True)}


def _weighted(found: Sequence[Comparison]) -> list[float]:
    """Weighted logarithms of predicted over measured, one per metric; 0 where nothing was measured."""
    errors = {entry.metric: entry for entry in found}
    return [weight * _log_ratio(errors[metric]) if metric in errors else 0.0 for metric, weight in METRICS.items()]


def _log_ratio(entry: Comparison) -> float:
    return float(np.clip(np.log(entry.predicted / entry.measured), -CLIP, CLIP))
