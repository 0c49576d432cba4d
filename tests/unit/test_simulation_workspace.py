"""What vLLM sets aside for prompts under sparse attention, against its own figures and those of a measured start."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sim.llm.zoo import load_model
from sim.report.check_text import check_text
from sim.scenario.load import parse
from sim.scenario.scenario import Scenario
from sim.simulation.check import check
from sim.simulation.engine import workspace_token_bytes
from sim.simulation.memory import plan
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
    """Of a scenario that states how long its requests may be."""
    return plan(scenario(model, **engine)).workspace_bytes


def test_keys_of_forty_contexts_are_gathered() -> None:
    """865,075,200 bytes for DeepSeek-V3.2 (vLLM's comment); a million tokens: 5036.40 MiB with 1 of another buffer."""
    assert workspace_bytes("deepseek-v3.2", kv_cache_dtype="bf16", max_model_len=163_840) == 865_075_200
    measured = workspace_bytes("glm-5.2", kv_cache_dtype="bf16", max_model_len=1_000_000)
    assert measured / 1024**2 + 1.0 == pytest.approx(5036.40, abs=0.01)


def test_an_fp8_cache_is_converted_in_the_same_buffer() -> None:
    """Five contexts of 576 values in BF16 are a little more than forty of 132 bytes."""
    assert workspace_bytes(kv_cache_dtype="fp8", max_model_len=200_000) == 5 * 1152 * 200_000


def test_only_vllm_and_only_sparse_latent_attention() -> None:
    """Other engines and models set nothing aside; a reserve that the scenario states is all of it."""
    assert workspace_bytes(name="sglang", max_model_len=200_000) == 0.0
    assert workspace_bytes("deepseek-v3-r1", max_model_len=100_000) == 0.0
    assert workspace_token_bytes(scenario("minimax-m3-text"), load_model("minimax-m3-text")) == 0.0  # no latent
    stated = plan(scenario(runtime_reserve_gib=2.0, max_model_len=200_000))
    assert stated.workspace_bytes == 0.0
    assert stated.memory.runtime_reserve_bytes == 2.0 * GIB


def test_a_context_that_is_not_stated_is_the_longest_that_starts() -> None:
    """Eight H200 do not hold a request of GLM-5.2's whole context in BF16: vLLM would refuse, and `auto` takes less."""
    planned = plan(scenario(kv_cache_dtype="bf16"))
    assert planned.max_model_len == pytest.approx(402_000, rel=0.01)
    assert planned.max_model_len == planned.memory.kv_tokens_per_rank
    assert planned.workspace_bytes == 40 * 132 * planned.max_model_len
    assert not planned.refuses_to_start
    unstated = scenario(kv_cache_dtype="bf16")
    text = " ".join(check_text(unstated, check(unstated)).split())
    assert "max_model_len is not stated" in text
    assert "left alone it would take 1,048,576, and refuse." in text


def test_a_context_that_the_cache_does_not_hold_does_not_start() -> None:
    """The whole context of GLM-5.2 on eight H200 is a named result with the longest that starts, which then does."""
    whole = scenario(kv_cache_dtype="bf16", max_model_len=1_048_576)
    found = check(whole).infeasible
    assert found is not None
    assert found.kind == "does_not_start"
    assert "Does not start." in check_text(whole, check(whole))
    most = int(re.findall("to ([0-9,]+) or less", found.smallest)[0].replace(",", ""))
    assert check(scenario(kv_cache_dtype="bf16", max_model_len=most)).infeasible is None
    assert check(scenario(kv_cache_dtype="bf16", max_model_len=most + 64)).infeasible is not None
    sglang = scenario(name="sglang", kv_cache_dtype="bf16", max_model_len=1_048_576)
    assert check(sglang).infeasible is None  # it admits what the cache holds


def test_a_shorter_context_gives_the_memory_to_the_cache() -> None:
    """The cache grows by what the workspace shrinks, and nothing is said where it is small."""
    long, short = (scenario(kv_cache_dtype="bf16", max_model_len=tokens) for tokens in (300_000, 131_072))
    pools = [plan(each).memory.kv_pool_bytes for each in (long, short)]
    assert pools[1] - pools[0] == pytest.approx(40 * 132 * (300_000 - 131_072))
    assert "smaller max_model_len" not in check_text(short, check(short))


def test_what_a_stated_context_makes_too_large_fits_with_a_shorter_one() -> None:
    """GLM-5.2 on 16 H100 as DP16, EP16: a whole context leaves no cache, and the answer says which would."""
    wide = {
        "hardware.gpu": "h100-sxm-80gb",
        "deployment.layout": {"tensor_parallel_size": 1, "data_parallel_size": 16, "enable_expert_parallel": True},
        "deployment.engine.kv_cache_dtype": "fp8",
        "deployment.engine.gpu_memory_utilization": 0.85,
        "deployment.engine.max_model_len": 1_048_576,
    }
    found = check(scenario().with_(wide))
    assert found.infeasible is not None
    most = re.search("With max_model_len ([0-9,]+) or less it fits as it is.", found.infeasible.smallest)
    assert most is not None
    tokens = int(most[1].replace(",", ""))
    fits, too_long = (
        plan(scenario().with_({**wide, "deployment.engine.max_model_len": n})) for n in (tokens, 2 * tokens)
    )
    assert fits.memory.fits
    assert not fits.refuses_to_start
    assert not too_long.memory.fits or too_long.refuses_to_start
