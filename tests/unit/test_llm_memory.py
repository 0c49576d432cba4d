"""The memory plan: accounts add up, requests fit or are refused, and broken layouts say why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import CatalogError, ScenarioError
from sim.llm.divisibility import layout_problems
from sim.llm.fit import candidate_layouts, smallest_fit
from sim.llm.layout import Layout
from sim.llm.memory import MemoryPlan, plan_memory
from sim.llm.zoo import load_model
from sim.units import GIB

VISIBLE_BYTES = 79.1 * GIB
TWO_NODES = Layout(8, 2)


def planned(model: str = "glm-5.2", layout: Layout = TWO_NODES, **changes: Any) -> MemoryPlan:
    settings: dict[str, Any] = {
        "weights": "fp8_block",
        "kv_cache_dtype": "fp8",
        "gpu_memory_bytes": VISIBLE_BYTES,
        "gpu_memory_utilization": 0.85,
    }
    return plan_memory(load_model(model), layout, **(settings | changes))


def test_memory_adds_up() -> None:
    """Weights, reserve and pool fill the usable memory, and the draft pool is its share of the pool."""
    plan = planned(load_mtp=True, runtime_reserve_bytes=2 * GIB)
    assert plan.weight_bytes + plan.runtime_reserve_bytes + plan.kv_pool_bytes == pytest.approx(plan.usable_bytes)
    assert plan.draft_pool_bytes == pytest.approx(plan.kv_pool_bytes * 788 / 54_728)
    assert planned().draft_pool_bytes == 0


@given(
    block=st.sampled_from([1, 16, 64, 256]),
    reserve_gib=st.floats(0, 30),
    context=st.integers(1, 2**20),
    dp=st.sampled_from([1, 2, 4, 16]),
)
def test_what_is_admitted_fits(block: int, reserve_gib: float, context: int, dp: int) -> None:
    """Blocks never exceed the pool, admitted sequences never exceed the blocks, and the longest request is one."""
    layout = Layout(16 // dp, 1, dp, enable_expert_parallel=dp > 1)
    plan = planned(layout=layout, block_size=block, runtime_reserve_bytes=reserve_gib * GIB)
    token_bytes = plan.kv_token_bytes.total_bytes
    assert plan.kv_tokens_per_rank * token_bytes <= plan.kv_pool_bytes
    assert plan.kv_tokens == dp * plan.kv_tokens_per_rank
    sequences = plan.concurrent_sequences(context)
    assert sequences % dp == 0
    assert sequences // dp * -(-context // block) <= plan.kv_blocks_per_rank
    assert (sequences > 0) == (context <= plan.max_request_tokens)
    assert plan.fits == (plan.kv_blocks_per_rank > 0)


def test_the_model_bounds_a_request_too() -> None:
    """With room for 2.2M tokens a GLM-5.2 request still ends at its 1M context; Mixtral's at 32K."""
    plan = planned(layout=Layout(8, 3))
    assert plan.longest_request_tokens > 2e6
    assert plan.max_request_tokens == 1_048_576
    assert plan.concurrent_sequences(1_048_577) == 0
    assert planned("mixtral-8x7b", Layout(8), weights="bf16").max_request_tokens == 32_768


def test_data_ranks_divide_what_one_request_may_take() -> None:
    """DP16 holds far more tokens than TP8 x PP2, and admits far shorter requests."""
    wide, deep = planned(layout=Layout(1, 1, 16, enable_expert_parallel=True)), planned()
    assert wide.kv_tokens > 2 * deep.kv_tokens
    assert wide.longest_request_tokens < deep.longest_request_tokens / 3


def test_windows_take_from_the_pool_per_sequence() -> None:
    """With constant bytes per sequence, fewer sequences fit than tokens alone would allow."""
    plan = planned("llama-4-maverick", TWO_NODES, weights="bf16", kv_cache_dtype="bf16")
    assert plan.kv_sequence_bytes == 1_207_959_552 / 16
    assert plan.concurrent_sequences(1024) < plan.kv_tokens // 1024 / 2
    assert plan.longest_request_tokens < plan.kv_tokens


def test_a_shortfall_says_how_much_is_missing() -> None:
    """Granting exactly the missing bytes makes the plan fit with one block; half of them do not."""
    short = planned(layout=Layout(8), gpu_memory_utilization=1.0)
    assert not short.fits
    missing = short.shortfall_bytes
    enough = planned(layout=Layout(8), gpu_memory_utilization=1.0, gpu_memory_bytes=VISIBLE_BYTES + missing + 1)
    assert enough.fits
    assert enough.kv_blocks_per_rank == 1
    half = planned(layout=Layout(8), gpu_memory_utilization=1.0, gpu_memory_bytes=VISIBLE_BYTES + missing / 2)
    assert not half.fits


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"gpu_memory_utilization": 0}, "gpu_memory_utilization"),
        ({"gpu_memory_utilization": 1.01}, "gpu_memory_utilization"),
        ({"gpu_memory_bytes": 0}, "gpu_memory_bytes"),
        ({"gpu_memory_bytes": float("inf")}, "gpu_memory_bytes"),
        ({"runtime_reserve_bytes": -1}, "runtime_reserve_bytes"),
        ({"runtime_reserve_bytes": float("nan")}, "runtime_reserve_bytes"),
        ({"block_size": 0}, "block_size"),
        ({"kv_cache_dtype": "fp16"}, "kv_cache_dtype"),
    ],
)
def test_numbers_out_of_range_are_named(changes: dict[str, Any], key: str) -> None:
    """Each setting out of range is refused by its name."""
    with pytest.raises(ScenarioError, match=key):
        planned(**changes)


def test_plan_refuses_broken_layouts_and_unknown_formats() -> None:
    """A layout that cannot run is refused with the reason; an unknown format by name."""
    with pytest.raises(ScenarioError, match="64 attention heads are not divisible by tensor_parallel_size 24"):
        planned(layout=Layout(24))
    with pytest.raises(CatalogError, match="did you mean 'nvfp4'"):
        planned(weights="nvfp")
    with pytest.raises(ScenarioError, match="at least one token"):
        planned().concurrent_sequences(0)


@pytest.mark.parametrize(
    ("model", "layout", "words"),
    [
        ("glm-5.2", Layout(24), ["64 attention heads", "expert width 2048 is not divisible by the 24 GPUs"]),
        ("glm-5.2", Layout(1, 1, 24, enable_expert_parallel=True), ["8 redundant experts would do"]),
        ("glm-5.2", Layout(1, 1, 32, enable_expert_parallel=True, redundant_experts=8), ["264|8 redundant", "none"]),
        ("glm-5.2", Layout(8, 79), ["pipeline_parallel_size 79 exceeds the 78 layers"]),
        ("glm-5.2", Layout(8, redundant_experts=8), ["redundant experts need expert parallelism"]),
        ("glm-5.2", Layout(0), ["tensor_parallel_size 0 is below 1"]),
        ("glm-5.2", Layout(8, enable_expert_parallel=True, redundant_experts=-8), ["-8 is below 0"]),
        ("glm-4.5", Layout(12), ["8 key-value heads neither divide"]),
        ("llama-3.1-70b", Layout(8, enable_expert_parallel=True), ["a dense model has no experts"]),
    ],
)
def test_broken_rules_are_told_in_words(model: str, layout: Layout, words: list[str]) -> None:
    """Each violated rule gives one sentence with the numbers that clash."""
    text = "; ".join(layout_problems(load_model(model), layout))
    for word in words:
        assert any(option in text for option in word.split("|")), text


def test_sliced_experts_must_hold_whole_blocks() -> None:
    """FP8 blocks of 128 forbid slicing MiniMax-M2's 1536-wide experts over 8 GPUs; BF16 and whole experts are fine."""
    spec = load_model("minimax-m2")
    assert "192, which does not hold whole blocks of 128" in layout_problems(spec, Layout(8), weights="fp8_block")[0]
    assert layout_problems(spec, Layout(8), weights="bf16") == []
    assert layout_problems(spec, Layout(8, enable_expert_parallel=True), weights="fp8_block") == []


def test_padded_formats_may_be_sliced_anywhere() -> None:
    """MXFP4 slices are padded to its blocks of 32, so gpt-oss runs over 4 and 8 GPUs; 7 still do not divide 2880."""
    spec = load_model("gpt-oss-120b")
    assert all(layout_problems(spec, Layout(size), weights="mxfp4") == [] for size in (1, 2, 4, 8))
    assert "not divisible by the 7 GPUs" in "; ".join(layout_problems(spec, Layout(7), weights="mxfp4"))
    assert "whole blocks of 32 in int4_g32" in layout_problems(spec, Layout(8), weights="int4_g32")[0]
    assert "whole blocks of 128 in fp8_block" in layout_problems(spec, Layout(8), weights="fp8_block")[0]


@pytest.mark.parametrize(
    "layout", [Layout(8), Layout(8, 3), Layout(1, 1, 24, enable_expert_parallel=True, redundant_experts=8)]
)
def test_good_layouts_have_no_problems(layout: Layout) -> None:
    """Layouts that are served in public pass."""
    assert layout_problems(load_model("glm-5.2"), layout, weights="fp8_block") == []


def fit(model: str, **changes: Any) -> tuple[Layout, MemoryPlan] | None:
    settings: dict[str, Any] = {
        "weights": "fp8_block",
        "kv_cache_dtype": "fp8",
        "gpu_memory_bytes": VISIBLE_BYTES,
        "gpu_memory_utilization": 0.9,
    }
    return smallest_fit(load_model(model), **(settings | changes))


def test_longer_contexts_need_more_gpus() -> None:
    """FP8 serves 100K tokens as TP8 x PP2; a million BF16-cached ones need more stages; 1M + 1 never fit."""
    small, large = fit("glm-5.2", context_tokens=100_000), fit("glm-5.2", kv_cache_dtype="bf16", context_tokens=2**20)
    assert small is not None
    assert large is not None
    assert small[0] == TWO_NODES
    assert large[0].pipeline_parallel_size > 2
    assert fit("glm-5.2", context_tokens=2**20 + 1, max_gpus=64) is None


def test_nothing_fits_in_too_few_gpus() -> None:
    """When no candidate fits, the answer is none; so it is when no candidate can run."""
    assert fit("glm-5.2", max_gpus=8) is None
    assert fit("glm-5.2", candidates=[Layout(24), Layout(8)]) is None


def test_own_candidates_are_tried_smallest_first() -> None:
    """Of the layouts given, the smallest that fits wins, whatever their order."""
    found = fit("glm-5.2", candidates=[Layout(8, 4), Layout(24), Layout(16), Layout(8)])
    assert found is not None
    assert found[0] == Layout(16)


def test_candidates_can_all_run() -> None:
    """Every candidate keeps the divisibility rules, fills whole nodes, and comes in order of size."""
    spec = load_model("glm-5.2")
    layouts = list(candidate_layouts(spec, max_gpus=64))
    sizes = [layout.num_gpus for layout in layouts]
    assert sizes == sorted(sizes)
    assert set(sizes) == set(range(8, 65, 8))
    assert all(layout_problems(spec, layout) == [] for layout in layouts)
    assert Layout(1, 1, 24, enable_expert_parallel=True, redundant_experts=8) in layouts


def test_dense_models_get_no_data_ranks() -> None:
    """Data ranks of a dense model are separate replicas, so they are no candidates."""
    assert all(layout.data_parallel_size == 1 for layout in candidate_layouts(load_model("llama-3.1-70b")))
