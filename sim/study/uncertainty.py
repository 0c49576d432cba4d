"""The model interval: the same scenario under draws of the model's coefficients, beside its sampling interval.

Every draw runs one replication over a part of the measured window, and is set against the undrawn model on the same
random streams, so that what moves a figure is the model and not the sample. The interval is that of the ratios (of
fractions: of the differences), put onto the figure of the full run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf, isfinite, isnan, nan
from typing import Final

import numpy as np

from sim.scenario.scenario import Scenario
from sim.simulation.build import build
from sim.simulation.model_draw import model_draw
from sim.simulation.roles import gpus_in_service
from sim.simulation.run import run_built
from sim.streams import Streams
from sim.study.metric import Metric
from sim.study.money import price
from sim.study.overload import overload
from sim.study.pools import pool_windows
from sim.study.result import Result
from sim.study.simulate import figures
from sim.study.window import Window
from sim.study.workers import Progress, spread

TAIL: Final = 0.1
WINDOW_PART: Final = 12  # a draw measures so small a part of the window; pairing needs less than estimating
PAIRS: Final = 2  # replications whose streams the draws use in turn
BASE: Final = -1
Figures = dict[tuple[str, str], float]
Task = tuple[Scenario, int, int]


def with_model_intervals(result: Result, *, workers: int = 0, progress: Progress | None = None) -> Result:
    """The result with an 80 % model interval on each of its figures, and the share of draws that keep up."""
    scenario, draws = result.scenario, result.scenario.run.model_draws
    short = shortened(scenario)
    pairs = min(PAIRS, scenario.run.replications, draws)
    tasks: list[Task] = [(short, BASE, index) for index in range(pairs)]
    tasks += [(short, draw, draw % pairs) for draw in range(draws)]
    found = spread(_one, tasks, workers=workers, progress=progress)
    base, drawn = found[:pairs], found[pairs:]
    metrics = [_with_interval(metric, base, [one for one, _ in drawn]) for metric in result.metrics]
    keeps = float(np.mean([kept for _, kept in drawn]))
    note = f"of {draws} draws over {short.run.horizon_s:g} s each"
    metrics.append(Metric(scenario.name, "model_keeps_up_frac", "fraction", keeps, note=note))
    return replace(result, metrics=tuple(metrics))


def shortened(scenario: Scenario) -> Scenario:
    """One replication over a part of the measured window."""
    run = scenario.run
    horizon_s = run.warmup_s + (run.horizon_s - run.warmup_s) / WINDOW_PART
    return scenario.with_(
        {
            "run.horizon_s": horizon_s,
            "run.replications": 1,
            "run.record_requests": False,
            "run.model_uncertainty": "none",
        }
    )


def _one(task: Task, progress: Progress) -> tuple[Figures, bool]:
    """Figures of one draw, or of the model itself, and whether it kept up."""
    scenario, draw, replication = task
    if draw == BASE:
        used, factor, built = scenario, 1.0, build(scenario)
    else:
        drawn = model_draw(scenario, Streams(scenario.run.seed, draw))
        used, factor, built = drawn.scenario, drawn.first_token_factor, build(drawn.scenario, drawn.kernels)
    outcomes = [run_built(built, scenario.run.seed, replication, progress)]
    windows = [Window.of(outcomes[0], built.cluster, gpus_in_service(scenario))]
    pools = pool_windows(outcomes, windows, built.cluster)
    kept = overload(outcomes, windows, windows[0].replicas) is None
    money = price(used, built.planned, windows, "", pools)
    found: Figures = {}
    for metric in figures(used, outcomes, windows, pools, money, ""):
        missing = inf if metric.metric.startswith("cost_") else nan
        value = missing if metric.value is None else metric.value
        found[metric.option, metric.metric] = value * factor if metric.metric.startswith("ttft_") else value
    return found, kept


def _with_interval(metric: Metric, base: list[tuple[Figures, bool]], drawn: list[Figures]) -> Metric:
    key = metric.option, metric.metric
    if metric.value is None:
        return metric
    ends = interval(
        metric.value,
        [one.get(key, nan) for one, _ in base],
        [one.get(key, nan) for one in drawn],
        fraction=metric.unit == "fraction",
    )
    return metric if ends is None else replace(metric, model_low=ends["low"], model_high=ends["high"])


def interval(
    value: float, base: list[float], drawn: list[float], *, fraction: bool
) -> Mapping[str, float | None] | None:
    """The central 80 % of the draws around a figure; None where a draw or the model itself has no such figure.

    Quantiles at (n + 1) p, which cover a further draw with 80 % on average. An end is None where it is unbounded: more
    than a tenth of the draws deliver nothing that could be paid for.
    """
    moves = []
    for index, one in enumerate(drawn):
        own = base[index % len(base)]
        if isnan(one) or not isfinite(own) or (not fraction and own == 0.0):
            return None
        moves.append(one - own if fraction else one / own)
    ordered = sorted(moves)
    place = max(1, round(TAIL * (len(ordered) + 1)))
    low, high = ordered[place - 1], ordered[-place]
    ends = (value + low, value + high) if fraction else (value * low, value * high)
    if fraction:
        ends = min(1.0, max(0.0, ends[0])), min(1.0, max(0.0, ends[1]))
    return {"low": ends[0], "high": ends[1] if isfinite(ends[1]) else None}
