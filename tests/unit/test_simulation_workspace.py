"""What vLLM sets aside for prompts under sparse attention, against its own figures and those of a measured start."""

from __future__ import annotations

from typing import Any

import pytest

from sim.report.check_text import check_text
from sim.scenario.load import parse
from sim.scenario.scenario import Scenario
from sim.simulation.check import check
from sim.simulation.engine import prompt_workspace_bytes, runtime_reserve_bytes
from sim.simulation.memory import model_of, plan
from sim.units import GIB


def scenario(model: str = "glm-5.2", **engine: Any) -> Scenario:
    """Eight H200, tensor parallel."""
    return parse(
        {
            "model": {"name": model, "weights": "fp8_block"},
            "hardware": {"gpu": "h200-sxm-141gb"},
            "deployment": {"layout": {"tensor_parallel_size": 8}, "engine": {"name": "vllm", **engine}},
            "workload": {
                "arrivals": {"process": "poisson", "rate_rps": 0.1},
                "input_tokens": {"law": "constant", "tokens": 1000},
                "output_tokens": {"law": "constant", "tokens": 10},
            },
        }
    )


def workspace_bytes(model: str = "glm-5.2", **engine: Any) -> float:
    """Of a scenario."""
    loaded = scenario(model, **engine)
    return prompt_workspace_bytes(loaded, model_of(loaded))


def test_keys_of_forty_contexts_are_gathered() -> None:
    """865,075,200 bytes for DeepSeek-V3.2 (vLLM's comment); a million tokens: 5036.40 MiB with 1 of another buffer."""
    assert workspace_bytes("deepseek-v3.2", kv_cache_dtype="bf16") == 865_075_200
    measured = workspace_bytes("glm-5.2", kv_cache_dtype="bf16", max_model_len=1_000_000)
    assert measured / 1024**2 + 1.0 == pytest.approx(5036.40, abs=0.01)


def test_an_fp8_cache_is_converted_in_the_same_buffer() -> None:
    """Five contexts of 576 values in BF16 are a little more than forty of 132 bytes."""
    assert workspace_bytes(kv_cache_dtype="fp8") == 5 * 1152 * 1_048_576


def test_only_vllm_and_only_sparse_attention() -> None:
    """Other engines and models set nothing aside; a reserve that the scenario states is all of it."""
    assert workspace_bytes(name="sglang") == 0.0
    assert workspace_bytes("deepseek-v3-r1") == 0.0
    stated = scenario(runtime_reserve_gib=2.0)
    assert runtime_reserve_bytes(stated, model_of(stated)) == 2.0 * GIB
    assert plan(stated).workspace_bytes == 0.0


def test_a_shorter_context_gives_the_memory_to_the_cache() -> None:
    """The cache of GLM-5.2 grows by what the workspace shrinks, and the check says that it would."""
    whole, short = scenario(kv_cache_dtype="bf16"), scenario(kv_cache_dtype="bf16", max_model_len=131_072)
    pools = [plan(each).memory.kv_pool_bytes for each in (whole, short)]
    assert pools[1] - pools[0] == pytest.approx(40 * 132 * (1_048_576 - 131_072))
    assert "Of the reserve 5.2 GiB is for prompts of up to 1,048,576 tokens" in " ".join(
        check_text(whole, check(whole)).split()
    )
    assert "smaller max_model_len" not in check_text(short, check(short))
