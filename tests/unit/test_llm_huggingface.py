"""The configuration reader names the file and the key of what it cannot use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import ModelConfigError
from sim.llm.huggingface import read_config
from sim.llm.parameters import main_parameters
from sim.llm.spec import ModelSpec

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
}
DEEPSEEK: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "num_attention_heads": 8,
    "q_lora_rank": 32,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "first_k_dense_replace": 1,
    "intermediate_size": 128,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
}
GLM4: dict[str, Any] = LLAMA | {
    "model_type": "glm4_moe",
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
    "num_nextn_predict_layers": 1,
    "attention_bias": True,
    "use_qk_norm": True,
}


def read(folder: Path, values: object) -> ModelSpec:
    file = folder / "config.json"
    file.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return read_config(file)


def test_a_folder_stands_for_its_configuration(tmp_path: Path) -> None:
    """A folder that contains config.json reads like the file itself."""
    spec = read(tmp_path, LLAMA)
    assert read_config(tmp_path) == spec
    assert (spec.qk_head_dim, spec.num_dense_layers, spec.num_experts) == (8, 4, 0)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A folder without config.json is refused with the path that was looked for."""
    with pytest.raises(ModelConfigError, match=r"config\.json: cannot be read"):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"model_type": "llama", "hidden', "[1, 2]", "7", "null", "[" * 100_000])
def test_truncated_or_wrong_json_is_refused(tmp_path: Path, text: str) -> None:
    """Half a file, or one that is no JSON object, gives one clear error with the file name."""
    with pytest.raises(ModelConfigError, match=r"config\.json"):
        read(tmp_path, text)


def test_binary_file_is_refused(tmp_path: Path) -> None:
    """A file that is no text is refused."""
    (tmp_path / "config.json").write_bytes(b"\xff\xfe\x00weights")
    with pytest.raises(ModelConfigError, match="UTF-8"):
        read_config(tmp_path)


def test_a_number_of_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    """A number too long to parse is refused like any other damage."""
    with pytest.raises(ModelConfigError, match=r"config\.json"):
        read(tmp_path, '{"hidden_size": ' + "9" * 5000 + "}")


def test_unknown_family_lists_the_known_ones(tmp_path: Path) -> None:
    """An unknown model_type lists the known families and suggests the nearest."""
    with pytest.raises(ModelConfigError, match=r"'mixtrall' is not known; known: glm_moe_dsa.*mean 'mixtral'"):
        read(tmp_path, LLAMA | {"model_type": "mixtrall"})


@pytest.mark.parametrize("base", [LLAMA, DEEPSEEK], ids=["llama", "deepseek"])
def test_every_missing_key_is_named(tmp_path: Path, base: dict[str, Any]) -> None:
    """Leaving out any required key names that key; optional keys have the defaults of the implementation."""
    optional = {"num_key_value_heads", "q_lora_rank"}
    for key in base.keys() - optional:
        with pytest.raises(ModelConfigError, match=f"'{key}' is missing"):
            read(tmp_path, {name: value for name, value in base.items() if name != key})
    for key in base.keys() & optional:
        read(tmp_path, {name: value for name, value in base.items() if name != key})


@pytest.mark.parametrize("value", [0, -1, 1.5, "78", True, [], {}, 1e400, 10**12])
def test_absurd_values_are_named(tmp_path: Path, value: object) -> None:
    """A layer count that cannot be is refused with file, key and value."""
    with pytest.raises(ModelConfigError, match=r"config\.json: key 'num_hidden_layers' must"):
        read(tmp_path, LLAMA | {"num_hidden_layers": value})


@pytest.mark.parametrize(
    ("base", "change", "key"),
    [
        (LLAMA, {"num_key_value_heads": 3}, "num_key_value_heads"),
        (LLAMA, {"num_key_value_heads": 16}, "num_key_value_heads"),
        (LLAMA, {"mlp_bias": True}, "mlp_bias"),
        (LLAMA, {"tie_word_embeddings": "no"}, "tie_word_embeddings"),
        (DEEPSEEK, {"num_experts_per_tok": 9}, "num_experts_per_tok"),
        (DEEPSEEK, {"first_k_dense_replace": 5}, "first_k_dense_replace"),
        (DEEPSEEK, {"qk_head_dim": 192}, "qk_head_dim"),
        (DEEPSEEK, {"moe_layer_freq": 2}, "moe_layer_freq"),
        (DEEPSEEK, {"attention_bias": True}, "attention_bias"),
        (GLM4, {"model_type": 4}, "model_type"),
    ],
)
def test_contradictions_are_named(tmp_path: Path, base: dict[str, Any], change: dict[str, Any], key: str) -> None:
    """Values that contradict each other, or that the formulas do not cover, name their key."""
    with pytest.raises(ModelConfigError, match=f"key '{key}'"):
        read(tmp_path, base | change)


@pytest.mark.parametrize(
    "types", [["full"] * 3, ["full", "dense", "full", "full"], "full", ["shared", "full", "full", "full"], [1, 2, 3, 4]]
)
def test_a_wrong_indexer_list_is_refused(tmp_path: Path, types: object) -> None:
    """An indexer list of the wrong length, with unknown words, or that starts with nothing to share, is refused."""
    values = DEEPSEEK | {"model_type": "glm_moe_dsa", "index_n_heads": 2, "index_head_dim": 8, "index_topk": 16}
    assert read(tmp_path, values).indexer_layers == (0, 1, 2, 3)
    with pytest.raises(ModelConfigError, match="indexer_types"):
        read(tmp_path, values | {"indexer_types": types})


@pytest.mark.parametrize(
    ("scheme", "weights"),
    [
        (None, "bf16"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8_block"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "w4afp8"}, "w4afp8"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "int4_g128"),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 32}, "int4_g32"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32, "type": "int"}}},
            },
            "int4_g32",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 16, "type": "float"}}},
            },
            "nvfp4",
        ),
    ],
)
def test_native_weights_follow_the_quantisation(tmp_path: Path, scheme: object, weights: str) -> None:
    """Each published quantisation scheme maps to one weight format."""
    assert read(tmp_path, DEEPSEEK | {"quantization_config": scheme}).native_weights == weights


@pytest.mark.parametrize(
    "scheme",
    [
        {},
        "fp8",
        {"quant_method": "bitsandbytes"},
        {"quant_method": "fp8"},
        {"quant_method": "fp8", "weight_block_size": [1, 128]},
        {"quant_method": "modelopt", "quant_algo": "FP8"},
        {"quant_method": "gptq", "bits": 3, "group_size": 128},
        {"quant_method": "gptq", "bits": 4, "group_size": -1},
        {"quant_method": "compressed-tensors"},
        {"quant_method": "compressed-tensors", "config_groups": {"group_0": {}}},
        {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}}},
    ],
)
def test_unknown_quantisation_is_refused(tmp_path: Path, scheme: object) -> None:
    """A scheme without known byte counts is refused, never taken for another."""
    with pytest.raises(ModelConfigError, match="quantization_config"):
        read(tmp_path, DEEPSEEK | {"quantization_config": scheme})


def test_multimodal_wrappers_hold_the_language_model(tmp_path: Path) -> None:
    """A wrapper of unknown type with a text_config reads like the inner model; the outer quantisation applies to it."""
    scheme = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    wrapped = {"model_type": "kimi_k25", "text_config": DEEPSEEK, "quantization_config": scheme}
    spec = read(tmp_path, wrapped)
    assert spec == read(tmp_path, DEEPSEEK | {"quantization_config": scheme})
    with pytest.raises(ModelConfigError, match=r"text_config\.hidden_size"):
        read(tmp_path, {"model_type": "kimi_k25", "text_config": DEEPSEEK | {"hidden_size": -1}})


def test_glm4_moe_counts_biases_and_norms(tmp_path: Path) -> None:
    """GLM-4.5's family adds query-key-value biases and per-head norms to every layer."""
    plain = read(tmp_path, GLM4 | {"attention_bias": False, "use_qk_norm": False})
    full = read(tmp_path, GLM4)
    assert main_parameters(full) - main_parameters(plain) == 4 * ((8 + 2 * 2) * 8 + 2 * 8)
    assert full.mtp_layers == 1
    assert full.note


def test_qwen3_moe_dense_layers(tmp_path: Path) -> None:
    """Dense layers are those listed, and those between sparse steps."""
    values = LLAMA | {
        "model_type": "qwen3_moe",
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
    }
    assert read(tmp_path, values).num_dense_layers == 0
    assert read(tmp_path, values | {"mlp_only_layers": [0, 3]}).num_dense_layers == 2
    assert read(tmp_path, values | {"decoder_sparse_step": 2}).num_dense_layers == 2
    with pytest.raises(ModelConfigError, match="mlp_only_layers"):
        read(tmp_path, values | {"mlp_only_layers": [4]})
    with pytest.raises(ModelConfigError, match="use_sliding_window"):
        read(tmp_path, values | {"use_sliding_window": True})


def test_windows_of_mixtral_and_gpt_oss(tmp_path: Path) -> None:
    """Mixtral's window covers all layers, gpt-oss's only the sliding ones."""
    experts = {"num_local_experts": 8, "num_experts_per_tok": 2}
    mixtral = LLAMA | experts | {"model_type": "mixtral"}
    assert read(tmp_path, mixtral).window_layers == 0
    assert read(tmp_path, mixtral | {"sliding_window": 256}).window_layers == 4
    kinds = ["sliding_attention", "full_attention"] * 2
    spec = read(tmp_path, mixtral | {"model_type": "gpt_oss", "layer_types": kinds, "sliding_window": 128})
    assert (spec.window_layers, spec.window_tokens) == (2, 128)
    with pytest.raises(ModelConfigError, match="sliding_window"):
        read(tmp_path, mixtral | {"model_type": "gpt_oss", "layer_types": kinds})


def test_minimax_m2_refuses_what_it_cannot_count(tmp_path: Path) -> None:
    """Shared experts and unknown norm types of this family are refused."""
    values = LLAMA | {"model_type": "minimax_m2", "num_local_experts": 8, "num_experts_per_tok": 2}
    assert read(tmp_path, values).qk_norm_per_layer
    for change in ({"shared_intermediate_size": 64}, {"qk_norm_type": "group"}, {"attention_bias": True}):
        with pytest.raises(ModelConfigError, match=next(iter(change))):
            read(tmp_path, values | change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(key=st.sampled_from([*sorted(DEEPSEEK), "quantization_config", "text_config", "qk_head_dim"]), value=JSON)
def test_any_value_reads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, key: str, value: object) -> None:
    """Whatever stands under any key, the reader returns a spec or raises ModelConfigError, and nothing else."""
    folder = tmp_path_factory.mktemp("config")
    message = "config.json"
    try:
        spec = read(folder, DEEPSEEK | {key: value})
    except ModelConfigError as error:
        message = str(error)
    else:
        assert main_parameters(spec) > 0
    assert "config.json" in message
