"""Exact integers of published models: parameters, active parameters, weight bytes and cache bytes."""

from __future__ import annotations

import pytest

from sim.catalog import models
from sim.llm.kvcache import kv_sequence_bytes, kv_token_bytes
from sim.llm.parameters import (
    active_parameters,
    attention_parameters_per_layer,
    checkpoint_parameters,
    draft_parameters,
    expert_parameters,
    indexer_parameters_per_layer,
    main_parameters,
    mtp_parameters,
    parameters_by_component,
)
from sim.llm.weights import checkpoint_bytes, component_bytes
from sim.llm.zoo import load_model

APPROXIMATE = ("deepseek-v4-pro", "deepseek-v4-flash", "kimi-k3")
EXACT = tuple(name for name in models.names() if name not in APPROXIMATE)

# main, MTP, active with head, active without embedding and head, routed experts of the main model
PARAMETERS = {
    "glm-5.2": (743_377_000_704, 9_952_920_320, 40_297_758_720, 39_346_176_000, 724_775_731_200),
    "glm-5.3": (743_377_000_704, 9_952_920_320, 40_297_758_720, 39_346_176_000, 724_775_731_200),
    "glm-5": (743_911_199_232, 9_952_920_320, 40_831_942_656, 39_880_359_936, 724_775_731_200),
    "glm-5.1": (743_911_199_232, 9_952_920_320, 40_831_942_656, 39_880_359_936, 724_775_731_200),
    "deepseek-v3-r1": (671_026_404_352, 13_463_426_048, 36_624_596_992, 35_697_917_952, 653_908_770_816),
    "deepseek-v3.2": (671_877_929_216, 13_477_385_472, 37_476_106_240, 36_549_427_200, 653_908_770_816),
    "kimi-k2": (1_026_408_209_408, 0, 31_686_066_176, 30_511_661_056, 1_014_686_023_680),
    "kimi-k2.5-2.6-2.7": (1_026_408_209_408, 0, 31_686_066_176, 30_511_661_056, 1_014_686_023_680),
    "glm-4.5": (352_797_814_784, 5_539_962_112, 32_854_016_000, 32_078_069_760, 335_963_750_400),
    "glm-4.6": (352_797_814_784, 3_988_069_632, 32_854_016_000, 32_078_069_760, 335_963_750_400),
    "qwen3-235b-a22b": (235_093_634_560, 0, 21_567_635_456, 20_945_305_600, 227_096_395_776),
    "qwen3-coder-480b-a35b": (480_154_875_392, 0, 34_540_486_656, 33_606_991_872, 468_084_326_400),
    "gpt-oss-120b": (116_829_156_672, 0, 5_131_100_160, 4_551_966_720, 114_661_785_600),
    "mixtral-8x7b": (46_702_792_704, 0, 12_748_587_008, 12_617_515_008, 45_097_156_608),
    "mixtral-8x22b": (140_620_634_112, 0, 38_954_729_472, 38_758_121_472, 135_291_469_824),
    "llama-3.1-70b": (70_553_706_496, 0, 69_501_714_432, 68_451_041_280, 0),
    "llama-3.1-405b": (405_853_388_800, 0, 403_747_897_344, 401_646_551_040, 0),
    "minimax-m2": (228_689_748_992, 0, 10_415_112_192, 9_800_515_584, 224_680_476_672),
    "minimax-m3-text": (426_174_565_632, 0, 24_732_499_968, 23_503_306_752, 413_122_166_784),
    "llama-4-maverick": (400_711_848_960, 0, 16_149_708_800, 15_115_223_040, 386_547_056_640),
}

# native format, its bytes
CHECKPOINT_BYTES = {
    "glm-5.2": ("fp8_block", 755_617_140_416),
    "glm-5.3": ("fp8_block", 755_617_140_416),
    "glm-5": ("fp8_block", 756_162_687_872),
    "glm-5.1": ("fp8_block", 756_162_687_872),
    "deepseek-v3-r1": ("fp8_block", 688_574_839_360),
    "deepseek-v3.2": ("fp8_block", 689_468_986_496),
    "kimi-k2": ("fp8_block", 1_029_173_249_888),
    "kimi-k2.5-2.6-2.7": ("int4_g32", 594_205_259_776),
    "gpt-oss-120b": ("mxfp4", 65_248_815_744),
    "mixtral-8x7b": ("bf16", 93_405_585_408),
    "mixtral-8x22b": ("bf16", 281_241_268_224),
    "llama-3.1-70b": ("bf16", 141_107_412_992),
    "llama-3.1-405b": ("bf16", 811_706_777_600),
}

# BF16 and FP8 bytes per token, constant BF16 bytes per sequence
KV_BYTES = {
    "glm-5.2": (92_628, 53_940, 0),
    "glm-5.3": (92_628, 53_940, 0),
    "glm-5": (100_152, 61_464, 0),
    "glm-5.1": (100_152, 61_464, 0),
    "deepseek-v3-r1": (70_272, 35_136, 0),
    "deepseek-v3.2": (78_324, 48_068, 0),
    "kimi-k2": (70_272, 35_136, 0),
    "kimi-k2.5-2.6-2.7": (70_272, 35_136, 0),
    "glm-4.5": (376_832, 188_416, 0),
    "glm-4.6": (376_832, 188_416, 0),
    "qwen3-235b-a22b": (192_512, 96_256, 0),
    "qwen3-coder-480b-a35b": (253_952, 126_976, 0),
    "gpt-oss-120b": (36_864, 18_432, 4_718_592),
    "mixtral-8x7b": (131_072, 65_536, 0),
    "mixtral-8x22b": (229_376, 114_688, 0),
    "llama-3.1-70b": (327_680, 163_840, 0),
    "llama-3.1-405b": (516_096, 258_048, 0),
    "minimax-m2": (253_952, 126_976, 0),
    "minimax-m3-text": (122_880, 61_440, 0),
    "llama-4-maverick": (49_152, 24_576, 1_207_959_552),
}


def test_catalog_holds_the_whole_zoo() -> None:
    """The catalog has 23 models, of which only three are approximate."""
    assert len(models.names()) == 23
    assert set(EXACT) == set(PARAMETERS) == set(KV_BYTES)
    assert {name for name in models.names() if models.row(name)["status"] == "assumed"} == set(APPROXIMATE)


@pytest.mark.parametrize("name", EXACT)
def test_parameters_are_exact(name: str) -> None:
    """Main, draft, checkpoint, active and routed-expert parameters equal the published integers."""
    spec = load_model(name)
    main, mtp, active, body, routed = PARAMETERS[name]
    assert main_parameters(spec) == main
    assert mtp_parameters(spec) == mtp
    assert checkpoint_parameters(spec) == main + mtp
    assert active_parameters(spec).matmul == active
    assert active_parameters(spec).excluding_embedding_and_head == body
    assert active_parameters(spec).including_embedding == 2 * active - body
    assert parameters_by_component(spec)["routed_experts"] == routed
    assert sum(parameters_by_component(spec).values()) == main + mtp


@pytest.mark.parametrize("name", models.names())
def test_catalog_totals_follow_from_its_shapes(name: str) -> None:
    """The totals in the table equal those computed from the same row: exactly, or within 1e-5 for approximate rows."""
    spec, row = load_model(name, allow_approximate=True), models.row(name)
    tolerance = 0 if spec.exact else 1e-5
    assert main_parameters(spec) == pytest.approx(int(row["params_main"]), rel=tolerance, abs=0)
    assert active_parameters(spec).matmul == pytest.approx(int(row["active_matmul"]), rel=tolerance, abs=0)
    if row["params_checkpoint"]:
        assert checkpoint_parameters(spec) == pytest.approx(int(row["params_checkpoint"]), rel=tolerance, abs=0)


@pytest.mark.parametrize("name", CHECKPOINT_BYTES)
def test_checkpoint_bytes_are_exact(name: str) -> None:
    """Checkpoint bytes in the published format equal the published integer."""
    weights, size_bytes = CHECKPOINT_BYTES[name]
    assert checkpoint_bytes(load_model(name), weights) == size_bytes


@pytest.mark.parametrize("name", EXACT)
def test_bf16_takes_two_bytes_per_parameter(name: str) -> None:
    """A BF16 checkpoint is exactly two bytes per parameter."""
    spec = load_model(name)
    assert checkpoint_bytes(spec, "bf16") == 2 * checkpoint_parameters(spec)


@pytest.mark.parametrize("name", EXACT)
def test_cache_bytes_are_exact(name: str) -> None:
    """Cache bytes per token and per sequence equal the published integers; block-sparse index keys come on top."""
    spec = load_model(name)
    bf16, fp8, fixed = KV_BYTES[name]
    index = 14_592 if name == "minimax-m3-text" else 0
    assert kv_token_bytes(spec, "bf16").total_bytes == bf16 + index
    assert kv_token_bytes(spec, "fp8").total_bytes == fp8 + index
    assert kv_sequence_bytes(spec, "bf16") == fixed


def test_glm_5_2_by_component() -> None:
    """GLM-5.2 divides into the published components, to the last parameter."""
    spec = load_model("glm-5.2")
    parts = parameters_by_component(spec)
    assert parts["embedding"] == parts["head"] == 951_582_720
    assert parts["attention"] == 12_871_532_544
    assert parts["indexer"] == 196_804_608
    assert parts["dense_mlp"] == 679_477_248
    assert parts["routed_experts"] == 724_775_731_200
    assert parts["shared_experts"] == 2_831_155_200
    assert parts["router"] == 117_964_800
    assert parts["norms"] == 1_164_288 + 5376
    assert parts["mtp"] == 9_952_920_320
    assert expert_parameters(spec) == 37_748_736
    assert attention_parameters_per_layer(spec) == 165_019_648
    assert indexer_parameters_per_layer(spec) == 9_371_648
    assert draft_parameters(spec) == pytest.approx(1.533e9, rel=1e-3)


def test_deepseek_v3_repeats_embedding_and_head() -> None:
    """DeepSeek-V3's MTP module has 11,610,067,968 parameters, and stores 1,853,358,080 again."""
    spec = load_model("deepseek-v3-r1")
    assert mtp_parameters(spec, with_duplicates=False) == 11_610_067_968
    assert mtp_parameters(spec) - mtp_parameters(spec, with_duplicates=False) == 1_853_358_080
    assert attention_parameters_per_layer(spec) == 187_105_280


def test_glm_5_2_in_every_format() -> None:
    """GLM-5.2's checkpoint in each format has the published or derived size."""
    spec = load_model("glm-5.2")
    assert checkpoint_bytes(spec, "bf16") == 1_506_659_842_048
    assert checkpoint_bytes(spec, "fp8_block") == 755_617_140_416
    assert checkpoint_bytes(spec, "nvfp4") / 1e9 == pytest.approx(464.79, abs=0.01)
    assert checkpoint_bytes(spec, "int4_g128") / 1e9 == pytest.approx(430.8, abs=0.05)
    assert checkpoint_bytes(spec, "w4afp8") / 1e9 == pytest.approx(399.7, abs=0.05)
    assert component_bytes(spec, "bf16")["mtp"] == 19_905_840_640


def test_glm_5_2_cache_in_every_layout() -> None:
    """GLM-5.2's cache bytes follow the cache type, the draft pool and the indexer policy."""
    spec = load_model("glm-5.2")
    dtypes = ("bf16", "fp8", "fp8_flat")
    owners = [kv_token_bytes(spec, dtype).total_bytes for dtype in dtypes]
    draft = [kv_token_bytes(spec, dtype, draft=True).total_bytes for dtype in dtypes]
    every = [kv_token_bytes(spec, dtype, indexer_policy="all_layers").total_bytes for dtype in dtypes]
    both = [kv_token_bytes(spec, dtype, indexer_policy="all_layers", draft=True).total_bytes for dtype in dtypes]
    assert owners == [92_628, 53_940, 47_700]
    assert draft == [93_912, 54_728, 48_408]
    assert every == [100_152, 61_464, 55_224]
    assert both == [101_436, 62_252, 55_932]


@pytest.mark.parametrize(("name", "fp8"), [("deepseek-v4-pro", 5511), ("deepseek-v4-flash", 3850), ("kimi-k3", 13_824)])
def test_approximate_caches_are_near(name: str, fp8: int) -> None:
    """Approximate rows give a cache within 2 % of the published estimate."""
    assert kv_token_bytes(load_model(name, allow_approximate=True), "fp8").total_bytes == pytest.approx(fp8, rel=0.02)
