"""Fit the constants of one engine on points that were served by it.

Every point is simulated with trial constants, and the logarithms of predicted over measured are the residuals:
throughput, TPOT, TTFT, E2EL. Families (model and GPU) weigh alike, however many points they have, and a soft loss keeps
points that no constant can explain from deciding. What the points do not determine stays near what is believed
beforehand. Intervals come from the scatter between families (a cluster-robust sandwich), not from that of points, since
points of one family share their errors.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from sim.errors import SimError
from sim.study.calibrate.constants import CONSTANTS
from sim.study.validate.error import Comparison, compare
from sim.study.validate.point import MeasuredPoint
from sim.study.validate.predict import predict
from sim.study.validate.system import System
from sim.study.workers import Progress, spread

WEIGHTS = {"output throughput per GPU": 1.0, "TPOT": 1.4, "TTFT": 0.6, "E2EL": 0.7}
SOFT_FROM = 0.1  # a weighted error beyond this counts less than its square
CLIP = 3.0  # logarithm of a ratio beyond which a point is simply wrong
BELIEF = 0.15  # weight of what is believed beforehand, against one family
MOST_POINTS = 14  # of one family; more of the same say nothing new and cost time
MOST_STEPS = 10
DIFFERENCE = 0.05
Z80 = 1.2816

Point = tuple[MeasuredPoint, System]
Task = tuple[MeasuredPoint, System, dict[str, float]]


@dataclass(frozen=True, slots=True)
class FittedConstant:
    """One constant of one engine.

    Attributes
    ----------
    low, high : 80 % interval over families.
    """

    engine: str
    name: str
    value: float
    low: float
    high: float


def fit_engine(
    engine: str, points: Sequence[Point], *, workers: int = 0, belief: float = BELIEF
) -> list[FittedConstant]:
    """The constants of an engine; the same points give the same values on any number of workers.

    They lean to what is believed beforehand, the less the more families agree: of points made with constants far from
    there, one family alone is predicted to 6 %, four to 2 %, and to 0.2 % where beliefs hardly count.

    Parameters
    ----------
    belief : weight of what is believed beforehand, against one family.

    Raises
    ------
    SimError : no point was served by the engine.
    """
    used = thinned([point for point in points if point[1].family[2] == engine])
    if not used:
        raise SimError(f"no point that can be simulated was served by {engine}")
    families = [point[1].family for point in used]
    shares = {family: 1.0 / np.sqrt(families.count(family)) for family in families}
    rows = len(WEIGHTS)

    def residuals(values: np.ndarray) -> np.ndarray:
        errors = _errors(used, values, workers)
        weighted = errors * np.array(list(WEIGHTS.values())) * np.array([[shares[family]] for family in families])
        beliefs = [belief * constant.surprise(float(value)) for constant, value in zip(CONSTANTS, values, strict=True)]
        return np.concatenate([weighted.ravel(), beliefs])

    found = least_squares(
        residuals,
        [constant.start for constant in CONSTANTS],
        bounds=([constant.low for constant in CONSTANTS], [constant.high for constant in CONSTANTS]),
        x_scale=[constant.scale for constant in CONSTANTS],
        loss="soft_l1",
        f_scale=SOFT_FROM,
        diff_step=[DIFFERENCE] * len(CONSTANTS),
        max_nfev=MOST_STEPS,
    )
    groups = [families[index // rows] for index in range(rows * len(used))]
    spreads = deviations(np.asarray(found.jac), found.fun, groups)
    return [
        FittedConstant(
            engine,
            constant.name,
            float(value),
            float(max(constant.low, value - Z80 * deviation)),
            float(min(constant.high, value + Z80 * deviation)),
        )
        for constant, value, deviation in zip(CONSTANTS, found.x, spreads, strict=True)
    ]


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most `MOST_POINTS` of each family, evenly over the file."""
    families: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        families.setdefault(point[1].family, []).append(point)
    chosen = []
    for own in families.values():
        places = np.linspace(0, len(own) - 1, min(MOST_POINTS, len(own))).round().astype(int)
        chosen += [own[place] for place in places]
    return chosen


def _errors(points: Sequence[Point], values: np.ndarray, workers: int) -> np.ndarray:
    """Logarithm of predicted over measured, one row per point, one column per metric; 0 where nothing was measured."""
    constants = {constant.name: float(value) for constant, value in zip(CONSTANTS, values, strict=True)}
    tasks: list[Task] = [(point, system, constants) for point, system in points]
    return np.array(spread(_one, tasks, workers=workers))


def _one(task: Task, progress: Progress) -> list[float]:
    point, system, constants = task
    changes = {f"deployment.engine.{name}": value for name, value in constants.items()}
    changed = System(system.scenario.with_(changes), system.gpus, system.family)
    found = {entry.metric: entry for entry in compare(point, system.family, predict(changed))}
    progress(1.0)
    return [_log_ratio(found[metric]) if metric in found else 0.0 for metric in WEIGHTS]


def _log_ratio(entry: Comparison) -> float:
    return float(np.clip(np.log(entry.predicted / entry.measured), -CLIP, CLIP))


def deviations(
    jacobian: np.ndarray,
    residuals: np.ndarray,
    groups: Sequence[Hashable],
    repeats: np.ndarray | None = None,
    belief: float = 1.0,
) -> np.ndarray:
    """Standard deviations from the scatter of the gradient between groups; rows beyond the groups are beliefs.

    Parameters
    ----------
    jacobian : scaled for the loss as `scipy.optimize.least_squares` returns it.
    repeats : standard deviation of each row of the groups that measuring again would show, beside that scatter.
    belief : standard deviation of the rows of beliefs; `BELIEF` where they are taken at their word, 1 where they only
        keep the fit from wandering off and what they rest on is not to narrow the interval.
    """
    z = (residuals / SOFT_FROM) ** 2
    slope = 1.0 / np.sqrt(1.0 + z)
    curvature = np.maximum(slope - z * slope**3, np.finfo(float).eps)
    gradient = jacobian * (residuals * slope / np.sqrt(curvature))[:, None]
    sums: dict[Hashable, np.ndarray] = {}
    for index, group in enumerate(groups):
        sums[group] = sums.get(group, np.zeros(gradient.shape[1])) + gradient[index]
    inverse = np.linalg.pinv(jacobian.T @ jacobian)
    scatter = np.array(list(sums.values()))
    count = len(scatter)
    correction = count / (count - 1) if count > 1 else 1.0
    middle = correction * scatter.T @ scatter
    if repeats is not None:
        noisy = jacobian[: len(groups)] * repeats[:, None]
        middle = middle + noisy.T @ noisy
    beliefs = jacobian[len(groups) :]
    covariance = inverse @ (middle + belief**2 * beliefs.T @ beliefs) @ inverse
    return np.asarray(np.sqrt(np.diag(covariance)))
