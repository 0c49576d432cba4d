"""What the fitted points leave open of an engine: constants that move together, and an error that no constant explains.

Around the fit, the logarithm of predicted over measured is taken as linear in the constants and in the scores of kernel
families (`sim.steptime.kernel_draw`). A family of points counts as one observation with a standard deviation of
`BELIEF`, the weight that the fit gives to what is believed beforehand. Then the constants follow a normal law: where
the kernels were slower, the constants would have been fitted lower, so that the fitted points stay where they are; and
what the points do not determine is as wide as believed beforehand.

The rest is measured by leaving out one family at a time: its error under constants fitted on the others, less what the
draws already span, is put into two factors, on decoding and on prompt work, and one on the time to first token.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import product
from math import exp, log

import numpy as np
import numpy.typing as npt

from sim.catalog.tables import HEADER
from sim.simulation.model_draw import DECODE, PREFILL
from sim.steptime.kernel_draw import Z80, KernelDraw, families
from sim.study.calibrate.constants import CONSTANTS, Fitted
from sim.study.calibrate.fit import BELIEF, CLIP, SOFT_FROM, WEIGHTS, Point, thinned
from sim.study.validate.error import compare
from sim.study.validate.predict import predict
from sim.study.validate.system import System
from sim.study.workers import Progress, spread

STEP = 0.3  # of what is believed beforehand: size of a change for a derivative
GRID = tuple(round(0.02 * index, 2) for index in range(26))
WIDE = (*GRID, 0.6, 0.7, 0.8, 1.0)
WANTED = 0.8
RESIDUALS = ("decode_residual_frac", "prefill_residual_frac", "first_token_residual_frac")
Floats = npt.NDArray[np.float64]
Task = tuple[Point, dict[str, float], str]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Errors of the points of one engine around its constants.

    Attributes
    ----------
    errors : (points, metrics) logarithm of predicted over measured; NaN where nothing was measured.
    constants : (points, metrics, constants) derivatives by constant, in units of what is believed beforehand.
    kernels : (points, metrics, kernel families) derivatives by score.
    factors : (points, metrics, 2) derivatives by the logarithm of all decode time and of all prompt time.
    families : of each point.
    """

    errors: Floats
    constants: Floats
    kernels: Floats
    factors: Floats
    families: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Posterior:
    """The law that draws follow.

    Attributes
    ----------
    loads : (constants, kernel families + constants): movement of each constant, in units of what is believed
        beforehand, per standard normal score of a kernel family and of the constants' own scores.
    residuals : standard deviations of `RESIDUALS`.
    """

    engine: str
    loads: Floats
    residuals: tuple[float, float, float]


def sensitivity(engine: str, values: dict[str, float], points: Sequence[Point], *, workers: int = 0) -> Sensitivity:
    """Errors and their derivatives at the constants `values`, by one-sided differences."""
    used = thinned([point for point in points if point[1].family[2] == engine])
    runs: list[tuple[dict[str, float], str]] = [(values, "")]
    runs += [({**values, item.name: _moved(item, values[item.name], STEP)}, "") for item in CONSTANTS]
    runs += [(values, family) for family in families()]
    for names in (DECODE, PREFILL):
        runs.append(({**values, **{name: values[name] * exp(STEP) for name in names}}, ""))
    tasks: list[Task] = [(point, constants, family) for constants, family in runs for point in used]
    found = np.array(spread(_errors, tasks, workers=workers)).reshape(len(runs), len(used), len(WEIGHTS))
    slopes = np.moveaxis(found[1:] - found[0], 0, -1)
    count, kinds = len(CONSTANTS), len(families())
    return Sensitivity(
        found[0],
        np.nan_to_num(slopes[..., :count] / STEP),
        np.nan_to_num(slopes[..., count : count + kinds]),
        np.nan_to_num(slopes[..., count + kinds :] / STEP),
        tuple(system.family for _, system in used),
    )


def posteriors(found: Sequence[tuple[str, Sensitivity]]) -> list[Posterior]:
    """The law of each engine; errors that no constant explains are sized by all engines together."""
    laws = {engine: _loads(item) for engine, item in found}
    rest = _residuals([(item, laws[engine]) for engine, item in found])
    return [Posterior(engine, laws[engine], rest) for engine, _ in found]


def _loads(item: Sensitivity) -> Floats:
    rows, kernels = _weighted(item, item.constants), _weighted(item, item.kernels)
    inverse = np.linalg.inv(rows.T @ rows + BELIEF**2 * np.eye(rows.shape[1]))
    follow = -inverse @ rows.T @ kernels
    own = BELIEF * np.linalg.cholesky(inverse)
    return np.hstack([follow, own])


def _weights(item: Sensitivity) -> Floats:
    """Weight of every error in the fit: metric, family, and how far off it is."""
    counts = [item.families.count(family) for family in item.families]
    base = np.array(list(WEIGHTS.values()))[None, :] / np.sqrt(np.array(counts))[:, None]
    robust = (1.0 + (base * np.nan_to_num(item.errors) / SOFT_FROM) ** 2) ** -0.25
    return np.asarray(base * robust * ~np.isnan(item.errors))


def _weighted(item: Sensitivity, slopes: Floats) -> Floats:
    return np.asarray((_weights(item)[..., None] * slopes).reshape(-1, slopes.shape[-1]))


def _left_out(item: Sensitivity) -> Floats:
    """Errors of each family under constants fitted on the other families of the engine."""
    rows = _weighted(item, item.constants)
    residual = (_weights(item) * np.nan_to_num(item.errors)).reshape(-1)
    member = np.repeat([str(family) for family in item.families], len(WEIGHTS))
    errors = item.errors.copy()
    for family in sorted(set(member)):
        own = member == family
        rest = rows[~own]
        inverse = np.linalg.inv(rest.T @ rest + BELIEF**2 * np.eye(rows.shape[1]))
        step = np.clip(inverse @ rows[own].T @ residual[own], -1.0, 1.0)  # no further than is believed beforehand
        places = own.reshape(errors.shape)[:, 0]
        errors[places] += item.constants[places] @ step
    return errors


def _residuals(items: Sequence[tuple[Sensitivity, Floats]]) -> tuple[float, float, float]:
    """The smallest deviations for which 80 % of left-out errors lie within the 80 % interval, families alike.

    Those on decoding and on prompt work are chosen together by throughput, TPOT and E2EL; that on the first token adds
    what TTFT still lacks.
    """
    errors, spans, slopes, weights, names = [], [], [], [], []
    for item, loads in items:
        kinds = item.kernels.shape[-1]
        scores = item.constants @ loads
        scores[..., :kinds] += item.kernels
        counts = np.array([item.families.count(family) for family in item.families])
        shape = item.errors.shape
        errors.append(_left_out(item).ravel())
        spans.append((scores**2).sum(axis=-1).ravel())
        slopes.append((item.factors**2).reshape(-1, 2))
        weights.append(np.broadcast_to((1.0 / counts)[:, None], shape).ravel())
        names.append(np.broadcast_to(np.array(list(WEIGHTS))[None, :], shape).ravel())
    error, span, weight, name = (np.concatenate(part) for part in (errors, spans, weights, names))
    slope = np.concatenate(slopes)
    there = ~np.isnan(error)

    def covered(metric: str, decode: float, prefill: float, first: float = 0.0) -> float:
        rows = there & (name == metric)
        half = Z80 * np.sqrt(span[rows] + slope[rows] @ np.array([decode**2, prefill**2]) + first**2)
        return float(np.average(np.abs(error[rows]) <= half, weights=weight[rows]))

    timed = [metric for metric in WEIGHTS if metric != "TTFT"]
    pairs = sorted(product(GRID, GRID), key=lambda pair: (pair[0] ** 2 + pair[1] ** 2, pair))
    enough = (pair for pair in pairs if all(covered(metric, *pair) >= WANTED for metric in timed))
    decode, prefill = next(enough, pairs[-1])
    first = next((step for step in WIDE if covered("TTFT", decode, prefill, step) >= WANTED), 1.0)
    return decode, prefill, first


def _moved(item: Fitted, value: float, units: float) -> float:
    return value * exp(item.spread * units) if item.start == 1.0 else value + item.spread * units


def _errors(task: Task, progress: Progress) -> list[float]:
    (point, system), constants, family = task
    changes = {f"deployment.engine.{name}": value for name, value in constants.items()}
    changed = System(system.scenario.with_(changes), system.gpus, system.family, system.phase)
    draw = KernelDraw.single(family) if family else None
    found = {entry.metric: entry for entry in compare(point, system.family, predict(changed, draw=draw))}
    progress(1.0)
    return [
        float(np.clip(log(found[metric].predicted / found[metric].measured), -CLIP, CLIP))
        if metric in found
        else np.nan
        for metric in WEIGHTS
    ]


def rows_text(found: Sequence[Posterior], source: str, date: str) -> str:
    """The laws as a CSV with the columns of the catalog: `constant:score` is a movement per standard normal score."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    names = (*families(), *(f"own_{index}" for index in range(len(CONSTANTS))))
    for law in found:
        for item, loads in zip(CONSTANTS, law.loads, strict=True):
            for name, load in zip(names, loads * item.spread, strict=True):
                if abs(load) > 1e-4 * item.spread:
                    unit = "log" if item.start == 1.0 else item.unit
                    place = [law.engine, f"{item.name}:{name}", f"{load:.4g}", unit, "", ""]
                    writer.writerow([*place, source, date, "measured", "per standard normal score"])
        for name, value in zip(RESIDUALS, law.residuals, strict=True):
            meaning = "standard deviation of the logarithm of a factor"
            writer.writerow([law.engine, name, f"{value:.3g}", "log", "", "", source, date, "measured", meaning])
    return stream.getvalue()
