"""Weight formats: bytes of a tensor, and which tensors are converted."""

from __future__ import annotations

import pytest

from sim.errors import CatalogError
from sim.llm.formats import format_names, weight_format
from sim.llm.layout import Layout
from sim.llm.parameters import parameters_by_component
from sim.llm.tensors import inventory
from sim.llm.weights import checkpoint_bytes, component_bytes, gpu_bytes
from sim.llm.zoo import load_model


@pytest.mark.parametrize(
    ("name", "bytes_per_parameter"),
    [
        ("bf16", 2.0),
        ("fp8_block", 1 + 4 / 128**2),
        ("nvfp4", 0.5625),
        ("int4_g128", 0.515625),
        ("int4_g32", 0.5625),
        ("w4afp8", 0.515625),
        ("mxfp4", 0.53125),
        ("mxfp4_fp8", 0.53125),
    ],
)
def test_bytes_per_expert_parameter(name: str, bytes_per_parameter: float) -> None:
    """Routed experts take the published bytes per parameter, scales included."""
    spec = load_model("kimi-k2")  # no MTP layer, whose experts some formats leave alone
    parameters = parameters_by_component(spec)["routed_experts"]
    assert component_bytes(spec, name)["routed_experts"] / parameters == pytest.approx(bytes_per_parameter, rel=1e-12)


def test_every_format_of_the_table_is_covered() -> None:
    """The table holds exactly the formats that the tests know."""
    assert set(format_names()) == {
        "bf16", "fp8_block", "nvfp4", "int4_g128", "int4_g32", "w4afp8", "mxfp4", "mxfp4_fp8",
    }  # fmt: skip


def test_partial_blocks_have_whole_scales() -> None:
    """A 576 x 6144 projection has 5 x 48 scale blocks of FP8: the last row of blocks is half full."""
    encoding = weight_format("fp8_block").linear
    assert encoding.tensor_bytes(576, 6144) == 576 * 6144 + 4 * 5 * 48


def test_fp8_leaves_the_listed_tensors_alone() -> None:
    """In the FP8 checkpoint, embedding, head, router, norms, eh_proj and the indexer's weights_proj stay BF16."""
    chosen = weight_format("fp8_block")
    kept = {t.name for t in inventory(load_model("glm-5.2")) if chosen.encoding(t).value_bits == 16}
    assert {"embed_tokens", "lm_head", "gate", "eh_proj", "weights_proj", "final_norm"} <= kept
    assert not kept & {"q_a", "q_b", "kv_a", "kv_b", "o", "wq", "wk", "gate_up", "down"}


def test_four_bit_formats_leave_the_draft_layer_alone() -> None:
    """NVFP4 and INT4 keep the whole MTP layer in BF16; W4AFP8 converts it."""
    spec = load_model("glm-5.2")
    whole = component_bytes(spec, "bf16")["mtp"]
    assert component_bytes(spec, "nvfp4")["mtp"] == component_bytes(spec, "int4_g128")["mtp"] == whole
    assert component_bytes(spec, "w4afp8")["mtp"] < whole / 3


def test_unknown_format_suggests() -> None:
    """A mistyped format suggests the nearest."""
    with pytest.raises(CatalogError, match="did you mean 'fp8_block'"):
        checkpoint_bytes(load_model("glm-5.2"), "fp8_bloc")


@pytest.mark.parametrize("weights", format_names())
def test_one_gpu_holds_the_whole_model(weights: str) -> None:
    """On one GPU every byte of the checkpoint lies on it, but for copies that engines do not load."""
    spec = load_model("glm-5.2")
    assert sum(gpu_bytes(spec, Layout(), weights, load_mtp=True).values()) == checkpoint_bytes(spec, weights)
    loaded = sum(gpu_bytes(load_model("deepseek-v3-r1"), Layout(), "bf16", load_mtp=True).values())
    assert loaded == checkpoint_bytes(load_model("deepseek-v3-r1"), "bf16") - 2 * 1_853_358_080


def test_draft_layer_is_loaded_on_request() -> None:
    """Without MTP its component is empty, and nothing else changes."""
    spec = load_model("glm-5.2")
    without, loaded = gpu_bytes(spec, Layout(8), "fp8_block"), gpu_bytes(spec, Layout(8), "fp8_block", load_mtp=True)
    assert without["mtp"] == 0 < loaded["mtp"]
    assert {**loaded, "mtp": 0} == without


def test_sharding_rules() -> None:
    """TP divides heads, experts, shared experts and vocabulary; router, indexer, norms are on every rank."""
    spec = load_model("glm-5.2")
    one, eight = gpu_bytes(spec, Layout(), "bf16"), gpu_bytes(spec, Layout(8), "bf16")
    for part in ("embedding", "head", "dense_mlp", "routed_experts", "shared_experts"):
        assert eight[part] == one[part] / 8
    for part in ("router", "indexer", "norms"):
        assert eight[part] == one[part]
    assert one["attention"] / 8 < eight["attention"] < one["attention"] / 4


def test_expert_parallelism_replicates_attention_and_shared_experts() -> None:
    """With DP16 and EP16 attention and shared experts are whole on each GPU, experts and vocabulary a sixteenth."""
    spec = load_model("glm-5.2")
    one = gpu_bytes(spec, Layout(), "bf16")
    wide = gpu_bytes(spec, Layout(1, 1, 16, enable_expert_parallel=True), "bf16")
    for part in ("attention", "shared_experts", "router", "indexer"):
        assert wide[part] == one[part]
    for part in ("routed_experts", "embedding", "head", "dense_mlp"):
        assert wide[part] == one[part] / 16


def test_redundant_experts_cost_memory() -> None:
    """264 slots on 24 GPUs hold 11 experts each."""
    spec = load_model("glm-5.2")
    layout = Layout(1, 1, 24, enable_expert_parallel=True, redundant_experts=8)
    whole = gpu_bytes(spec, Layout(), "bf16")["routed_experts"]
    assert gpu_bytes(spec, layout, "bf16")["routed_experts"] == pytest.approx(whole * 11 / 256)


def test_key_value_heads_repeat_beyond_their_number() -> None:
    """With 4 key-value heads, TP8 repeats each on two ranks: their projections shrink no further than a quarter."""
    spec = load_model("qwen3-235b-a22b")
    four, eight = (gpu_bytes(spec, Layout(tp), "bf16")["attention"] for tp in (4, 8))
    kv = 2 * 94 * 2 * 128 * 4096
    assert eight == pytest.approx((four - kv) / 2 + kv)


def test_padded_slices_take_memory() -> None:
    """gpt-oss over 8 GPUs holds experts of 384 values instead of 360; whole experts and two slices have no padding."""
    spec = load_model("gpt-oss-120b")
    whole = gpu_bytes(spec, Layout(), "mxfp4")["routed_experts"]
    assert gpu_bytes(spec, Layout(2), "mxfp4")["routed_experts"] == pytest.approx(whole / 2)
    assert gpu_bytes(spec, Layout(8), "mxfp4")["routed_experts"] == pytest.approx(whole / 8 * 384 / 360)
    spread = gpu_bytes(spec, Layout(8, enable_expert_parallel=True), "mxfp4")["routed_experts"]
    assert spread == pytest.approx(whole / 8)
