"""Served systems that no coefficient was fitted on: errors may not grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from sim.catalog.tables import table
from sim.study.validate.coverage import ALL, DRAWS
from sim.study.validate.error import by_family, summarise
from sim.study.validate.miss import UNEXPLAINED
from sim.study.validate.validate import Validation, validate

POINTS: Final = "reference/measured_devtest.csv"
THROUGHPUT, TPOT, TTFT, E2EL, TTFT_P99 = "output throughput per GPU", "TPOT", "TTFT", "E2EL", "TTFT p99"
# median absolute errors as docs/validation.md has them, and one or two in a hundred for room
LIMITS: Final = {
    ("deepseek-v3-r1", "h100-sxm-80gb", "sglang", "disaggregated"): {THROUGHPUT: 0.06, TPOT: 0.02},
    ("deepseek-v3-r1", "h200-sxm-141gb", "sglang", "aggregated"): {
        THROUGHPUT: 0.06,
        TPOT: 0.06,
        TTFT: 0.31,
        E2EL: 0.07,
    },
    ("deepseek-v3-r1", "h200-sxm-141gb", "sglang", "aggregated with drafts"): {
        THROUGHPUT: 0.39,
        TPOT: 0.31,
        TTFT: 0.18,
        E2EL: 0.27,
    },
    ("deepseek-v3-r1", "h200-sxm-141gb", "tensorrt-llm", "aggregated"): {
        THROUGHPUT: 0.18,
        TPOT: 0.15,
        TTFT: 0.42,
        E2EL: 0.17,
    },
    ("deepseek-v3-r1", "h200-sxm-141gb", "tensorrt-llm", "aggregated with drafts"): {
        THROUGHPUT: 0.30,
        TPOT: 0.28,
        TTFT: 0.19,
        E2EL: 0.26,
    },
    ("glm-5.2", "h200-sxm-141gb", "sglang", "aggregated"): {THROUGHPUT: 0.05, TPOT: 0.20, TTFT: 0.14, E2EL: 0.15},
    ("glm-5.2", "h200-sxm-141gb", "vllm", "aggregated"): {THROUGHPUT: 0.10, TPOT: 0.39, TTFT: 0.30, E2EL: 0.16},
    ("gpt-oss-120b", "h100-sxm-80gb", "vllm", "aggregated"): {THROUGHPUT: 0.13, TPOT: 0.15, TTFT: 0.16},
    ("gpt-oss-120b", "h200-sxm-141gb", "tensorrt-llm", "aggregated"): {THROUGHPUT: 0.06, TPOT: 0.05, TTFT: 0.19},
    ("gpt-oss-120b", "h200-sxm-141gb", "vllm", "aggregated"): {THROUGHPUT: 0.09, TPOT: 0.09, TTFT: 0.14},
    ("llama-3.1-70b", "h100-sxm-80gb", "vllm", "aggregated"): {THROUGHPUT: 0.07, TPOT: 0.07, TTFT: 0.17},
    ("llama-3.1-70b", "h200-sxm-141gb", "tensorrt-llm", "aggregated"): {THROUGHPUT: 0.09, TPOT: 0.10, TTFT: 0.35},
    ("llama-3.1-70b", "h200-sxm-141gb", "vllm", "aggregated"): {THROUGHPUT: 0.05, TPOT: 0.05, TTFT: 0.08},
    ("minimax-m2", "h200-sxm-141gb", "vllm", "aggregated"): {THROUGHPUT: 0.89, TPOT: 0.41, TTFT: 0.76, E2EL: 0.38},
}
MISSED: Final = {
    "two batch overlap, decode, 32",  # real halves wait for their peers
    "deepep-mode unset to normal",  # runs without captured graphs
    "mem-fraction-static unset to 0.8",  # against the repeat in another series of the report; met in its own
}


@cache
def validated(path: Path) -> Validation:
    """All points of the file under the model and its draws, simulated once for all tests."""
    return validate(path, workers=2, draws=DRAWS)


@pytest.mark.long
def test_errors_on_points_that_were_not_fitted_do_not_grow(shared: Callable[[str], Path]) -> None:
    """Median absolute error by family and metric stays within what it was; no point and no family is lost."""
    found = validated(shared(POINTS))
    assert found.points == 318
    assert found.points - len(found.skipped) >= 264
    summaries = by_family(found.comparisons)
    assert {entry.family for entry in summaries} == set(LIMITS)
    families = {entry.point: "/".join(entry.family) for entry in found.comparisons}
    told = {name: fact.value for name, fact in table("accuracy_targets")["compared"].items()}
    assert told == Counter(families.values())
    for entry in summaries:
        limit = LIMITS[entry.family].get(entry.metric)
        assert limit is None or entry.median_abs_frac <= limit, (entry.family, entry.metric)
    overall = {entry.metric: entry for entry in summarise(found.comparisons, ALL)}
    assert overall[THROUGHPUT].median_abs_frac < 0.13
    assert overall[TPOT].median_abs_frac < 0.13
    assert overall[TTFT].median_abs_frac < 0.24
    assert overall[E2EL].median_abs_frac < 0.27
    assert overall[TTFT_P99].within_2x_frac >= 0.38
    assert sum(entry.met for entry in found.standings) >= 30
    assert all(miss.cause != UNEXPLAINED for miss in found.misses)


@pytest.mark.long
def test_phases_on_96_h100_and_ratios_keep_their_targets(shared: Callable[[str], Path]) -> None:
    """Prompts at each length and decoding to 20 %, EPLB and overlap to 25 %, one option changed to 20 %; three miss.

    The misses are named, so that neither a new one nor a mended one passes unseen.
    """
    checks = validated(shared(POINTS)).checks
    assert len(checks) == 23
    assert {entry.name.split(" (")[0] for entry in checks if not entry.met} == MISSED
    assert sum(not entry.met for entry in checks) == len(MISSED)
    phases = [entry for entry in checks if entry.group.startswith("a phase alone")]
    assert len(phases) == 5
    assert all(abs(entry.error_frac) < 0.12 for entry in phases)


@pytest.mark.long
def test_kv_pressure_orders_a_fixed_system(shared: Callable[[str], Path]) -> None:
    """GLM-5.2 on 8 H200 under SGLang, 512 callers: memory fraction auto < 0.80 < 0.85, and FP8 cache above BF16."""
    found = validated(shared(POINTS))
    rate = {
        entry.point.rsplit("-", 1)[-1]: entry.predicted for entry in found.comparisons if entry.metric == THROUGHPUT
    }
    assert rate["1561"] < rate["1562"] < rate["1563"]  # memory fraction auto, 0.80, 0.85
    assert rate["1562"] / rate["1561"] == pytest.approx(1322.0 / 735.0, rel=0.2)
    assert rate["1563"] / rate["1562"] == pytest.approx(1720.0 / 1322.0, rel=0.2)
    assert rate["1566"] < rate["1569"]  # BF16, FP8 cache
    assert rate["1569"] / rate["1566"] == pytest.approx(2191.0 / 1806.0, rel=0.2)
    assert rate["1565"] < rate["1566"]  # 64, 256 running
    assert rate["1566"] / rate["1565"] == pytest.approx(1806.0 / 1245.0, rel=0.2)
    assert rate["1567"] / rate["1566"] == pytest.approx(1781.0 / 1806.0, rel=0.2)  # 512, 256 running


@pytest.mark.long
def test_model_intervals_hold_about_four_points_of_five(shared: Callable[[str], Path]) -> None:
    """Of all points that were not fitted, throughput and TPOT lie in their 80 % model interval for 80 and 84 %.

    TTFT 74 % falls short, its p99 at 35 % by far: no factor that is drawn lengthens the worst first token. E2EL is at
    63 % because half of its points are MiniMax's, whose prompts wait before the engine (38 %); of the others 88 %.
    Bounds leave 6 % for other draws.
    """
    found = validated(shared(POINTS))
    inside = {entry.metric: entry.inside_frac for entry in found.coverage if entry.family == ALL}
    assert 0.74 <= inside[THROUGHPUT] <= 0.90
    assert 0.76 <= inside[TPOT] <= 0.91
    assert inside[TTFT] >= 0.68
    assert inside[E2EL] >= 0.57
    others = [
        entry for entry in found.coverage if entry.metric == E2EL and entry.family[0] not in (ALL[0], "minimax-m2")
    ]
    assert sum(entry.inside_frac * entry.points for entry in others) / sum(entry.points for entry in others) >= 0.82
    assert inside[TTFT_P99] >= 0.29
    nearest = {
        entry.metric: entry.inside_frac for entry in found.coverage if entry.family[::2] == ("glm-5.2", "sglang")
    }
    assert nearest[THROUGHPUT] >= 0.8
