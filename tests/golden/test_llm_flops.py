"""Exact FLOPs of decoding and prefilling, and the distinct experts of a batch."""

from __future__ import annotations

import pytest

from sim.llm.attention import decode_pair_flops, indexer_flops_per_key, prefill_pair_flops
from sim.llm.experts import distinct_experts
from sim.llm.flops import decode_flops, draft_flops, prefill_flops
from sim.llm.zoo import load_model

DECODE = [
    ("glm-5.2", 1024, 91_894_972_416),
    ("glm-5.2", 8192, 104_251_392_000),
    ("glm-5.2", 131_072, 125_390_684_160),
    ("glm-5.2", 1_048_576, 283_230_732_288),
    ("deepseek-v3-r1", 4096, 142_841_085_952),
    ("deepseek-v3-r1", 32_768, 629_984_329_728),
    ("mixtral-8x7b", 4096, 27_644_657_664),
    ("mixtral-8x7b", 32_768, 42_677_043_200),
]
PREFILL = [
    ("glm-5.2", 0, 8192, 809_897_460_498_432),
    ("glm-5.2", 57_344, 8192, 913_480_948_383_744),
    ("glm-5.2", 0, 131_072, 14_685_256_220_147_712),
    ("deepseek-v3-r1", 0, 4096, 334_368_312_131_584),
    ("mixtral-8x7b", 0, 4096, 107_762_065_342_464),
]


@pytest.mark.parametrize(("name", "context_tokens", "flops"), DECODE)
def test_decode_flops_are_exact(name: str, context_tokens: int, flops: int) -> None:
    """Decoding one token costs the published number of FLOPs."""
    assert decode_flops(load_model(name), context_tokens).total == flops


@pytest.mark.parametrize(("name", "cached", "new", "flops"), PREFILL)
def test_prefill_flops_are_exact(name: str, cached: int, new: int, flops: int) -> None:
    """Prefilling costs the published number of FLOPs, with and without a cached prefix."""
    total = prefill_flops(load_model(name), new, cached).total
    assert isinstance(total, int)
    assert total == flops


def test_parts_of_a_decode_step() -> None:
    """GLM-5.2's weights, capped attention and indexer have the published FLOPs."""
    spec = load_model("glm-5.2")
    short, long = decode_flops(spec, 2048), decode_flops(spec, 262_144)
    assert short.weights == 80_595_517_440
    assert short.attention == long.attention == 2048 * 10_862_592
    assert indexer_flops_per_key(spec) == 172_032
    assert long.indexer == 262_144 * 172_032
    assert draft_flops(spec) == pytest.approx(3.07e9, rel=2e-3)


def test_pair_costs_of_latent_attention() -> None:
    """DeepSeek-V3 costs 278,528 FLOPs per pair absorbed and 81,920 expanded; sparse GLM-5.2 prefills absorbed."""
    dense, sparse = load_model("deepseek-v3-r1"), load_model("glm-5.2")
    assert decode_pair_flops(dense) == 278_528
    assert prefill_pair_flops(dense) == 81_920
    assert prefill_pair_flops(sparse) == decode_pair_flops(sparse) == 139_264


@pytest.mark.parametrize(
    ("experts", "chosen", "tokens", "distinct"),
    [
        (256, 8, 1, 8.0),
        (256, 8, 8, 57.42),
        (256, 8, 32, 163.31),
        (256, 8, 64, 222.4425),
        (256, 8, 128, 251.60),
        (256, 8, 256, 255.92),
        (8, 2, 1, 2.0),
        (8, 2, 8, 7.199),
    ],
)
def test_distinct_experts(experts: int, chosen: int, tokens: int, distinct: float) -> None:
    """A batch touches the expected number of different experts."""
    digits = len(str(distinct).partition(".")[2])
    assert distinct_experts(experts, chosen, tokens) == pytest.approx(distinct, abs=0.51 * 10**-digits)
