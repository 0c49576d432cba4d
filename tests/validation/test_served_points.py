"""Served systems that no coefficient was fitted on: errors may not grow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.study.validate.coverage import ALL, DRAWS
from sim.study.validate.error import by_family, summarise
from sim.study.validate.validate import validate

THROUGHPUT, TPOT, TTFT = "output throughput per GPU", "TPOT", "TTFT"
# median absolute errors as they stood when the constants were fitted, and a little room
LIMITS = {
    ("glm-5.2", "sglang"): {THROUGHPUT: 0.09, TPOT: 0.18, TTFT: 0.10},
    ("glm-5.2", "vllm"): {THROUGHPUT: 0.06, TPOT: 0.42, TTFT: 0.29},
    ("deepseek-v3-r1", "sglang"): {THROUGHPUT: 0.08, TPOT: 0.08, TTFT: 0.08},
    ("deepseek-v3-r1", "tensorrt-llm"): {THROUGHPUT: 0.24, TPOT: 0.21, TTFT: 0.55},
    ("gpt-oss-120b", "vllm"): {THROUGHPUT: 0.17, TPOT: 0.20, TTFT: 0.22},
    ("gpt-oss-120b", "tensorrt-llm"): {THROUGHPUT: 0.06, TPOT: 0.05, TTFT: 0.19},
    ("llama-3.1-70b", "vllm"): {THROUGHPUT: 0.05, TPOT: 0.05, TTFT: 0.14},
    ("llama-3.1-70b", "tensorrt-llm"): {THROUGHPUT: 0.07, TPOT: 0.08, TTFT: 0.40},
    ("minimax-m2", "vllm"): {THROUGHPUT: 1.0, TPOT: 0.42, TTFT: 0.80},
}


@pytest.mark.long
def test_errors_on_points_that_were_not_fitted_do_not_grow(shared: Callable[[str], Path]) -> None:
    """Median absolute error by system and metric stays within what it was; no point is lost."""
    found = validate(shared("reference/measured_devtest.csv"), workers=1)

    assert found.points == 318
    assert found.points - len(found.skipped) >= 239
    summaries = by_family(found.comparisons)
    assert {(entry.family[0], entry.family[2]) for entry in summaries} == set(LIMITS)
    for entry in summaries:
        limit = LIMITS[entry.family[0], entry.family[2]].get(entry.metric)
        if limit is not None:
            assert entry.median_abs_frac <= limit, (entry.family, entry.metric)
    overall = {entry.metric: entry for entry in summarise(found.comparisons, ("all",))}
    assert overall[THROUGHPUT].median_abs_frac < 0.11
    assert overall[TPOT].median_abs_frac < 0.12
    assert overall[TTFT].median_abs_frac < 0.29


@pytest.mark.long
def test_kv_pressure_orders_a_fixed_system(shared: Callable[[str], Path]) -> None:
    """GLM-5.2 on 8 H200 under SGLang, 512 callers: memory fraction auto < 0.80 < 0.85, and FP8 cache above BF16."""
    found = validate(shared("reference/measured_devtest.csv"), workers=1)
    rate = {
        entry.point.rsplit("-", 1)[-1]: entry.predicted for entry in found.comparisons if entry.metric == THROUGHPUT
    }
    assert rate["1561"] < rate["1562"] < rate["1563"]  # memory fraction auto, 0.80, 0.85
    assert rate["1563"] / rate["1562"] == pytest.approx(1720.0 / 1322.0, rel=0.2)
    assert rate["1566"] < rate["1569"]  # BF16, FP8 cache
    assert rate["1569"] / rate["1566"] == pytest.approx(2191.0 / 1806.0, rel=0.2)
    assert rate["1565"] < rate["1566"]  # 64, 256 running


@pytest.mark.long
def test_model_intervals_hold_about_four_points_of_five(shared: Callable[[str], Path]) -> None:
    """Of all points that were not fitted, throughput and TPOT lie in their 80 % model interval for 80 %, give or take.

    TTFT 74 % and E2EL 72 % fall short, its p99 at 34 % by far: no factor that is drawn lengthens the worst first token.
    Bounds leave 6 % for other draws.
    """
    found = validate(shared("reference/measured_devtest.csv"), workers=2, draws=DRAWS)
    inside = {entry.metric: entry.inside_frac for entry in found.coverage if entry.family == ALL}
    assert 0.75 <= inside[THROUGHPUT] <= 0.90
    assert 0.75 <= inside[TPOT] <= 0.90
    assert inside[TTFT] >= 0.68
    assert inside["E2EL"] >= 0.66
    assert inside["TTFT p99"] >= 0.28
