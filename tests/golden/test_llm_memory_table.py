"""What fits on 80 GB H100s: every cell of the capacity table for GLM-5.2 within 2 %."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sim.llm.divisibility import layout_problems
from sim.llm.fit import candidate_layouts, smallest_fit
from sim.llm.kvcache import kv_token_gpu_bytes
from sim.llm.layout import Layout
from sim.llm.memory import MemoryPlan, plan_memory
from sim.llm.weights import gpu_bytes
from sim.llm.zoo import load_model
from sim.units import GIB

VISIBLE_BYTES = 79.1 * GIB
REQUEST_TOKENS = 9216  # 8K in, 1K out


@dataclass(frozen=True)
class Row:
    weights: str
    layout: Layout
    utilization: float
    weights_gib: float
    budget_gib: float
    tokens_fp8: float
    tokens_bf16: float
    requests_fp8: float
    requests_bf16: float
    longest_tokens: float
    replicas: int = 1


def ep(tp: int, dp: int, redundant: int = 0) -> Layout:
    return Layout(tp, 1, dp, enable_expert_parallel=True, redundant_experts=redundant)


TABLE = [
    Row("w4afp8", Layout(8), 0.90, 48.1, 23.1, 454e3, 265e3, 49, 29, 454e3),
    Row("int4_g128", Layout(8), 0.90, 52.9, 18.3, 359e3, 209e3, 39, 23, 359e3),
    Row("w4afp8", ep(1, 8), 0.90, 60.0, 11.2, 1.76e6, 1.03e6, 191, 111, 220e3),
    Row("nvfp4", Layout(8), 0.90, 56.8, 14.4, 282e3, 164e3, 31, 18, 282e3),
    Row("fp8_block", Layout(16), 0.85, 45.6, 21.6, 424e3, 247e3, 46, 27, 424e3),
    Row("fp8_block", Layout(8, 2), 0.85, 44.7, 22.5, 883e3, 514e3, 96, 56, 883e3),
    Row("fp8_block", ep(8, 2), 0.85, 46.7, 20.5, 805e3, 469e3, 87, 51, 402e3),
    Row("fp8_block", ep(4, 4), 0.85, 49.0, 18.3, 1.43e6, 836e3, 156, 91, 359e3),
    Row("fp8_block", ep(1, 16), 0.85, 58.4, 8.8, 2.78e6, 1.62e6, 301, 176, 173e3),
    Row("bf16", Layout(8, 3), 0.90, 59.4, 11.8, 695e3, 405e3, 75, 44, 695e3),
    Row("fp8_block", Layout(8, 3), 0.85, 29.8, 37.4, 2.20e6, 1.28e6, 239, 139, 2.2e6),
    Row("fp8_block", ep(1, 24, 8), 0.85, 44.9, 22.3, 10.5e6, 6.1e6, 1139, 664, 437e3),
    Row("w4afp8", Layout(8), 0.90, 48.1, 23.1, 1.36e6, 794e3, 148, 86, 454e3, replicas=3),
    Row("bf16", Layout(32), 0.85, 46.9, 20.4, 400e3, 233e3, 43, 25, 400e3),
    Row("bf16", Layout(8, 4), 0.85, 44.5, 22.7, 1.78e6, 1.04e6, 193, 113, 1.78e6),
    Row("fp8_block", ep(1, 32), 0.85, 36.9, 30.4, 19.1e6, 11.1e6, 2068, 1205, 595e3),
]


def planned(weights: str, layout: Layout, utilization: float, kv_cache_dtype: str = "fp8") -> MemoryPlan:
    return plan_memory(
        load_model("glm-5.2"),
        layout,
        weights=weights,
        kv_cache_dtype=kv_cache_dtype,
        gpu_memory_bytes=VISIBLE_BYTES,
        gpu_memory_utilization=utilization,
        load_mtp=True,
    )


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.weights} {row.layout} x{row.replicas}")
def test_capacity_table(row: Row) -> None:
    """Weights, budget, tokens and longest request agree within 2 %; whole requests differ by what rounds away."""
    fp8 = planned(row.weights, row.layout, row.utilization)
    bf16 = planned(row.weights, row.layout, row.utilization, "bf16")
    assert fp8.fits
    assert fp8.weight_bytes / GIB == pytest.approx(row.weights_gib, rel=0.02)
    assert fp8.kv_pool_bytes / GIB == pytest.approx(row.budget_gib, rel=0.02)
    assert fp8.kv_tokens * row.replicas == pytest.approx(row.tokens_fp8, rel=0.02)
    assert bf16.kv_tokens * row.replicas == pytest.approx(row.tokens_bf16, rel=0.02)
    assert fp8.longest_request_tokens == pytest.approx(row.longest_tokens, rel=0.02)
    for plan, requests in ((fp8, row.requests_fp8), (bf16, row.requests_bf16)):
        # The table divides all tokens by the request; a rank holds only whole requests.
        assert plan.kv_tokens * row.replicas / REQUEST_TOKENS == pytest.approx(requests, rel=0.02)
        whole = plan.concurrent_sequences(REQUEST_TOKENS) * row.replicas
        assert requests - row.replicas * plan.num_ranks - 1 <= whole <= requests + 1


@pytest.mark.parametrize(
    ("weights", "layout", "utilization", "weights_gib"),
    [("fp8_block", Layout(8), 0.90, 89.5), ("bf16", Layout(16), 0.90, 90.6)],
)
def test_what_the_table_says_does_not_fit(weights: str, layout: Layout, utilization: float, weights_gib: float) -> None:
    """FP8 on 8 and BF16 on 16 H100s do not fit: the plan says by how much and admits nothing."""
    plan = planned(weights, layout, utilization)
    assert not plan.fits
    assert plan.weight_bytes / GIB == pytest.approx(weights_gib, rel=0.02)
    assert plan.shortfall_bytes > plan.weight_bytes - plan.usable_bytes > 0
    assert plan.kv_tokens == plan.max_request_tokens == plan.concurrent_sequences(1) == 0


@pytest.mark.parametrize(("weights", "gpus"), [("fp8_block", 8), ("bf16", 8), ("bf16", 16)])
def test_no_layout_of_so_few_gpus_fits(weights: str, gpus: int) -> None:
    """Not one layout of 8 GPUs in FP8, or of 8 or 16 GPUs in BF16, fits: even with all memory and no MTP layer."""
    spec = load_model("glm-5.2")
    layouts = [layout for layout in candidate_layouts(spec, max_gpus=gpus) if layout.num_gpus == gpus]
    layouts = [layout for layout in layouts if not layout_problems(spec, layout, weights=weights)]
    assert len(layouts) > 5
    for layout in layouts:
        plan = plan_memory(
            spec,
            layout,
            weights=weights,
            kv_cache_dtype="fp8",
            gpu_memory_bytes=VISIBLE_BYTES,
            gpu_memory_utilization=1.0,
        )
        assert not plan.fits


@pytest.mark.parametrize(
    ("weights", "name", "gpus"),
    [
        ("bf16", "TP8 x PP3", 24),
        ("fp8_block", "TP8 x PP2", 16),
        ("w4afp8", "TP8", 8),
        ("int4_g128", "TP8", 8),
        ("nvfp4", "TP8", 8),
    ],
)
def test_smallest_fit(weights: str, name: str, gpus: int) -> None:
    """BF16 needs 24 H100s as TP8 x PP3, FP8 needs 16, four-bit experts fit on 8."""
    found = smallest_fit(
        load_model("glm-5.2"),
        weights=weights,
        kv_cache_dtype="fp8",
        gpu_memory_bytes=VISIBLE_BYTES,
        gpu_memory_utilization=0.9,
        context_tokens=REQUEST_TOKENS,
        load_mtp=True,
    )
    assert found is not None
    layout, plan = found
    assert (str(layout), layout.num_gpus) == (name, gpus)
    assert plan.max_request_tokens >= REQUEST_TOKENS


def test_eight_h200_hold_half_a_million_fp8_tokens() -> None:
    """FP8 on 8 H200 as TP8, with index keys in all layers, holds what a vendor reports: about 500 thousand tokens.

    An H200 of 143,771 MiB shows a framework about 139.8 GiB.
    """
    plan = plan_memory(
        load_model("glm-5.2"),
        Layout(8),
        weights="fp8_block",
        kv_cache_dtype="fp8",
        gpu_memory_bytes=139.8 * GIB,
        gpu_memory_utilization=0.85,
        indexer_policy="all_layers",
        load_mtp=True,
    )
    assert plan.fits
    assert plan.kv_tokens == pytest.approx(500e3, rel=0.03)


@pytest.mark.parametrize(("model", "measured_gib"), [("glm-5.2", 106.76), ("glm-5", 107.74)])
def test_weights_per_rank_match_a_measured_deployment(model: str, measured_gib: float) -> None:
    """NVFP4 as TP4 without MTP is within 1 % of the weights measured per GB300 rank, indexers shared or not."""
    weight_bytes = sum(gpu_bytes(load_model(model), Layout(4), "nvfp4").values())
    assert weight_bytes / GIB == pytest.approx(measured_gib, rel=0.01)


def test_pool_of_a_measured_deployment() -> None:
    """A pool of 2^20 + 64 FP8 tokens takes 60.03 GiB on every GPU of TP8, as measured: the cache is replicated."""
    token = kv_token_gpu_bytes(load_model("glm-5.2"), Layout(8), "fp8", indexer_policy="all_layers")
    assert token.total_bytes * (2**20 + 64) / GIB == pytest.approx(60.03, abs=0.01)
