"""Context parallelism: which layouts are refused, what the cache then takes, and how long a request may be."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim
from sim.errors import ScenarioError
from sim.llm.divisibility import layout_problems
from sim.llm.kvcache import kv_token_bytes, kv_token_gpu_bytes
from sim.llm.layout import Layout
from sim.llm.memory import MemoryPlan, plan_memory
from sim.llm.weights import gpu_bytes
from sim.llm.zoo import load_model
from sim.simulation.check import check
from sim.units import GB, GIB

SCENARIO = Path(__file__).parents[2] / "scenarios" / "glm52_long_context_16xh100.yaml"
MILLION = 1 << 20
VISIBLE_BYTES = 79.1 * GIB


def dcp(size: int, tp: int = 8, pp: int = 1, dp: int = 1) -> Layout:
    return Layout(tp, pp, dp, decode_context_parallel_size=size)


def pcp(size: int, tp: int = 8, **changes: int) -> Layout:
    return Layout(tp, prefill_context_parallel_size=size, **changes)


def planned(layout: Layout, cache: str) -> MemoryPlan:
    return plan_memory(
        load_model("glm-5.2"),
        layout,
        weights="fp8_block",
        kv_cache_dtype=cache,
        gpu_memory_bytes=VISIBLE_BYTES,
        gpu_memory_utilization=0.85,
        load_mtp=True,
    )


def test_gpus_and_names() -> None:
    """Dividing the cache adds no GPUs, dividing prompts does; both show in the name."""
    assert (dcp(8, pp=2).num_gpus, str(dcp(8, pp=2))) == (16, "TP8 x PP2, DCP8")
    assert (pcp(2).num_gpus, pcp(2).stage_gpus, str(pcp(2))) == (16, 16, "TP8 x PCP2")
    assert str(pcp(2, enable_expert_parallel=True)) == "TP8 x PCP2, EP16"


@pytest.mark.parametrize("cache", ["bf16", "fp8"])
def test_a_million_tokens_on_80_gb(cache: str) -> None:
    """98.5 GB in BF16 or 57.4 GB in FP8 fit no tensor-parallel layout of 8 to 32 GPUs; 16 hold them divided."""
    request = kv_token_bytes(load_model("glm-5.2"), cache, draft=True).total_bytes * MILLION
    assert request / GB == pytest.approx({"bf16": 98.5, "fp8": 57.4}[cache], abs=0.05)
    copies = [planned(Layout(tp, enable_expert_parallel=True), cache) for tp in (8, 16, 32)]
    assert all(not plan.fits or plan.longest_request_tokens < MILLION for plan in copies)
    divided = planned(dcp(8, pp=2), cache)
    assert divided.kv_token_bytes.total_bytes * MILLION == pytest.approx(request / 16)
    assert divided.max_request_tokens == MILLION
    assert planned(dcp(16, tp=16), cache).max_request_tokens == MILLION


def test_all_of_a_latent_cache_divides() -> None:
    """Latents, index keys and draft pool divide by token; prompts that are divided leave the cache whole."""
    spec = load_model("glm-5.2")
    whole = kv_token_bytes(spec, "fp8", draft=True)
    divided = kv_token_gpu_bytes(spec, dcp(4), "fp8", draft=True)
    assert divided.attention_bytes == whole.attention_bytes / 4
    assert divided.indexer_bytes == whole.indexer_bytes / 4
    assert divided.draft_bytes == whole.draft_bytes / 4
    assert kv_token_gpu_bytes(spec, pcp(2), "fp8", draft=True) == whole


def test_heads_divide_first_and_copies_then() -> None:
    """Mixtral's 8 key-value heads on 16 GPUs leave two copies, which dividing by two removes."""
    spec = load_model("mixtral-8x7b")
    assert kv_token_gpu_bytes(spec, dcp(2, tp=16), "bf16").total_bytes == 131_072 / 16


def test_groups_that_divide_prompts_share_experts_alone() -> None:
    """Attention weights are on every group; routed experts divide over all GPUs."""
    spec = load_model("glm-5.2")
    one, two = (gpu_bytes(spec, layout, "fp8_block") for layout in (Layout(8), pcp(2)))
    assert two["attention"] == one["attention"]
    assert two["routed_experts"] == pytest.approx(one["routed_experts"] / 2)


@pytest.mark.parametrize(
    ("model", "layout", "words"),
    [
        ("glm-5.2", dcp(3), "tensor_parallel_size 8 is not divisible by decode_context_parallel_size 3"),
        ("glm-5.2", dcp(0), "decode_context_parallel_size 0 is below 1"),
        ("glm-5.2", dcp(2, tp=1, dp=8), "tensor_parallel_size 1 is not divisible"),
        ("mixtral-8x7b", dcp(2), "leave 1 copies, fewer than decode_context_parallel_size 2"),
        ("mixtral-8x7b", dcp(8, tp=64), "4 query heads per key-value head are not divisible"),
        ("gpt-oss-120b", dcp(2, tp=16), "has windows or recurrent states"),
        ("minimax-m3-text", dcp(2), "the indexer of minimax-m3-text is not known to run"),
        ("mixtral-8x7b", pcp(2), "needs latent attention throughout"),
        ("glm-5.2", pcp(2, data_parallel_size=2), "does not run with data_parallel_size 2"),
        ("glm-5.2", pcp(2, decode_context_parallel_size=2), "not known to run together"),
    ],
)
def test_broken_rules_are_told(model: str, layout: Layout, words: str) -> None:
    """Each rule that a layout breaks is one sentence with the numbers that clash."""
    assert words in "; ".join(layout_problems(load_model(model), layout))


@pytest.mark.parametrize("layout", [dcp(8), dcp(2), dcp(8, pp=2), dcp(4, tp=4, dp=2), pcp(2), pcp(2, tp=4)])
def test_good_layouts_pass(layout: Layout) -> None:
    """Layouts with a divided cache or divided prompts that vLLM is known to run are not refused."""
    assert layout_problems(load_model("glm-5.2"), layout) == []


@pytest.mark.parametrize(
    ("engine", "key", "valid"),
    [
        ("sglang", "decode_context_parallel_size", "1, or deployment.engine.name vllm"),
        ("sglang", "prefill_context_parallel_size", "1, or deployment.engine.name vllm"),
        ("tensorrt-llm", "decode_context_parallel_size", "1, or deployment.engine.name vllm"),
    ],
)
def test_engines_that_do_not_run_it_are_refused(engine: str, key: str, valid: str) -> None:
    """The error names the key, what the engine runs, and the engine that would do."""
    layout = {"tensor_parallel_size": 8, "pipeline_parallel_size": 2, key: 2}
    scenario = sim.load(SCENARIO).with_({"deployment.engine.name": engine, "deployment.layout": layout})
    with pytest.raises(ScenarioError, match=f"deployment.layout.{key}.*sparse latent") as caught:
        check(scenario)
    assert caught.value.valid == valid


def test_sglang_divides_dense_latent_caches() -> None:
    """DeepSeek-V3 with SGLang may divide its cache."""
    found = check(sim.load(SCENARIO).with_({"deployment.engine.name": "sglang", "model.name": "deepseek-v3-r1"}))
    assert found.planned.longest_request_tokens > 100_000


def test_the_check_says_the_longest_request() -> None:
    """The scenario admits the model's whole context; with copies of the cache, not even half as many tokens fit."""
    scenario = sim.load(SCENARIO)
    alone = {"deployment.layout.decode_context_parallel_size": 1}
    assert check(scenario).planned.longest_request_tokens == MILLION
    assert check(scenario.with_(alone)).planned.longest_request_tokens < MILLION
    same = scenario.with_({"deployment.engine.max_model_len": 500_000})  # what is set aside for prompts grows with it
    divided, copied = (check(each).planned.memory.kv_tokens_per_rank for each in (same, same.with_(alone)))
    assert divided == pytest.approx(8 * copied, rel=1e-3)
    # blocks of 64 tokens on each of 8 GPUs
    assert check(scenario).built.cluster.limits.block_size == 512  # type: ignore[union-attr]


def test_the_scenario_runs() -> None:
    """Long documents are served; the run warns of what was not measured."""
    scenario = sim.load(SCENARIO).with_({"run.horizon_s": 1800.0, "run.warmup_s": 300.0, "run.replications": 1})
    result = sim.simulate(scenario)
    assert result.counts["completed"] > 20
    assert any("8 GPUs divide" in warning for warning in result.warnings)
