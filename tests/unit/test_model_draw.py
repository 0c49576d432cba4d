"""Draws of the model: pure, coherent, and the same on any number of workers."""

from __future__ import annotations

import csv
from io import StringIO
from math import exp
from pathlib import Path

import numpy as np
import pytest

import sim
from sim.catalog.tables import fact, table
from sim.scenario.scenario import Scenario
from sim.simulation.build import build
from sim.simulation.model_draw import model_draw
from sim.steptime.kernel_draw import Z80, KernelDraw, between, families, log_deviation, sense
from sim.steptime.kernels import kernel
from sim.streams import Streams
from sim.study.calibrate.constants import CONSTANTS
from sim.study.calibrate.posterior import RESIDUALS, Posterior, rows_text
from sim.study.uncertainty import interval

ENGINES = ("sglang", "tensorrt-llm", "vllm")


def small(root: Path, **run: object) -> Scenario:
    """The baseline over a short time."""
    changes = {"run": {"horizon_s": 300.0, "warmup_s": 60.0, "replications": 2, "seed": 3, **run}}
    return sim.load(root / "scenarios" / "glm52_fp8_16xh100.yaml", changes)


def test_a_kernel_moves_as_one_factor_on_times_and_rates() -> None:
    """One score of the family multiplies every time and divides every rate of a kernel by the same number."""
    own = kernel("gemm_fp8_block_deepgemm")
    moved = KernelDraw.single("gemm", 2.0).of(own)
    factor = exp(2.0 * log_deviation(own.name))
    assert factor > 1.2
    for name, value in own.values.items():
        way = sense(name, fact("kernels", own.name, name))
        assert moved[name] == pytest.approx(value * factor**way)
    assert KernelDraw.single("experts").of(own) is own
    assert {"gemm", "experts", "dsa_decode", "low_latency"} <= set(families())


def test_a_range_holds_four_draws_of_five() -> None:
    """A score of 1.28 reaches an end of the range, zero leaves the value, and nothing falls below a lower end of 0."""
    assert between(0.8, 0.6, 1.2, 0.0) == 0.8
    assert between(0.8, 0.6, 1.2, Z80) == pytest.approx(1.2)
    assert between(0.8, 0.6, 1.2, -Z80) == pytest.approx(0.6)
    assert between(1.0, 0.0, 5.0, -9.0) == 0.0


def test_a_draw_is_a_pure_function_of_its_streams(root: Path) -> None:
    """Equal streams give the equal draw, others another; the scenario that is drawn from stays as it was."""
    scenario = small(root)
    before = scenario.digest()
    one, again, other = (model_draw(scenario, Streams(3, index)) for index in (0, 0, 1))
    assert one.scenario.digest() == again.scenario.digest() != other.scenario.digest()
    assert one.kernels == again.kernels != other.kernels
    assert scenario.digest() == before
    base, moved = build(scenario).served, build(one.scenario, one.kernels).served
    assert base.decode(8).base_s != moved.decode(8).base_s
    assert build(scenario).served.decode(8) == base.decode(8)


def test_the_catalog_holds_the_rows_that_calibration_writes() -> None:
    """Engines, names, units and their order are the writer's; rows may lack only where a movement is next to nothing.

    Every constant moves by a score of its own, and every engine has all three residuals.
    """
    kinds, count = len(families()), len(CONSTANTS)
    laws = [Posterior(name, np.ones((count, kinds + count)), (0.1, 0.1, 0.1)) for name in ENGINES]
    written = {
        (row["subject"], row["parameter"]): row for row in csv.DictReader(StringIO(rows_text(laws, "test", "2026-11")))
    }
    held = {
        (engine, name): item for engine, facts in table("engine_uncertainty").items() for name, item in facts.items()
    }
    assert [key for key in written if key in held] == list(held)
    assert {key: item.unit for key, item in held.items()} == {key: written[key]["unit"] for key in held}
    assert {key: item.note for key, item in held.items()} == {key: written[key]["note"] for key in held}
    for engine in ENGINES:
        assert {(engine, name) for name in RESIDUALS} <= set(held)
        assert {(engine, f"{item.name}:own_{index}") for index, item in enumerate(CONSTANTS)} <= set(held)


def test_the_interval_is_that_of_the_ratios() -> None:
    """Of nine draws the least and the greatest; a missing figure gives no interval, an endless cost no upper end."""
    drawn = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 3.0]
    assert interval(10.0, [2.0], drawn, fraction=False) == {"low": 5.0, "high": 15.0}
    assert interval(10.0, [2.0], [*drawn[:8], float("nan")], fraction=False) is None
    assert interval(10.0, [2.0], [*drawn[:8], float("inf")], fraction=False) == {"low": 5.0, "high": None}
    assert interval(0.9, [0.9], [0.5] * 4 + [1.0] * 5, fraction=True) == {"low": 0.5, "high": 1.0}


def test_model_intervals_do_not_depend_on_workers(root: Path) -> None:
    """Bit for bit the same figures on one process and on two; without draws there are no such intervals."""
    drawn = small(root, horizon_s=700.0, model_uncertainty="interval", model_draws=9)
    alone, together = sim.simulate(drawn, workers=1), sim.simulate(drawn, workers=2)
    assert alone.metrics == together.metrics
    plain = sim.simulate(small(root, horizon_s=700.0), workers=1)
    for metric in plain.metrics:
        same = alone.metric(metric.metric, metric.option)
        assert (same.value, same.low, same.high) == (metric.value, metric.low, metric.high)
        assert metric.model_low is None
    cost = alone.metric("cost_usd_per_mtok_output")
    assert cost.model_low is not None
    assert alone.metric("tpot_p50_s").model_high > alone.metric("tpot_p50_s").model_low  # type: ignore[operator]
