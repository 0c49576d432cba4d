"""Published configurations, reduced to the keys that describe the shape, give the catalog's specs field by field."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim.llm.huggingface import read_config
from sim.llm.parameters import checkpoint_parameters, main_parameters
from sim.llm.weights import checkpoint_bytes
from sim.llm.zoo import load_model

INDEXER_TYPES = ["full" if max(layer - 2, 0) % 4 == 0 else "shared" for layer in range(78)]

CONFIGS: dict[str, dict[str, Any]] = {
    "minimax-m2": {
        "model_type": "minimax_m2",
        "num_hidden_layers": 62,
        "hidden_size": 3072,
        "vocab_size": 200064,
        "max_position_embeddings": 196608,
        "num_attention_heads": 48,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 1536,
        "num_local_experts": 256,
        "num_experts_per_tok": 8,
        "tie_word_embeddings": False,
        "use_qk_norm": True,
        "qk_norm_type": "per_layer",
        "use_routing_bias": True,
        "num_mtp_modules": 3,
        "shared_intermediate_size": 0,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    },
    "qwen3-235b-a22b": {
        "model_type": "qwen3_moe",
        "num_hidden_layers": 94,
        "hidden_size": 4096,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "num_attention_heads": 64,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "intermediate_size": 12288,
        "moe_intermediate_size": 1536,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "use_sliding_window": False,
    },
    "qwen3-coder-480b-a35b": {
        "model_type": "qwen3_moe",
        "num_hidden_layers": 62,
        "hidden_size": 6144,
        "vocab_size": 151936,
        "max_position_embeddings": 262144,
        "num_attention_heads": 96,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 8192,
        "moe_intermediate_size": 2560,
        "num_experts": 160,
        "num_experts_per_tok": 8,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "use_sliding_window": False,
        "use_qk_norm": True,
        "qkv_bias": False,
    },
    "deepseek-v3.2": {
        "model_type": "deepseek_v32",
        "num_hidden_layers": 61,
        "hidden_size": 7168,
        "vocab_size": 129280,
        "max_position_embeddings": 163840,
        "num_attention_heads": 128,
        "num_key_value_heads": 128,
        "intermediate_size": 18432,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 256,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 3,
        "moe_layer_freq": 1,
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "num_nextn_predict_layers": 1,
        "index_n_heads": 64,
        "index_head_dim": 128,
        "index_topk": 2048,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    },
    "deepseek-v3-r1": {
        "model_type": "deepseek_v3",
        "num_hidden_layers": 61,
        "hidden_size": 7168,
        "vocab_size": 129280,
        "max_position_embeddings": 163840,
        "num_attention_heads": 128,
        "num_key_value_heads": 128,
        "intermediate_size": 18432,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 256,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 3,
        "moe_layer_freq": 1,
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "num_nextn_predict_layers": 1,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    },
    "llama-3.1-405b": {
        "model_type": "llama",
        "num_hidden_layers": 126,
        "hidden_size": 16384,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "num_attention_heads": 128,
        "num_key_value_heads": 8,
        "intermediate_size": 53248,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
    },
    "llama-3.1-70b": {
        "model_type": "llama",
        "num_hidden_layers": 80,
        "hidden_size": 8192,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "intermediate_size": 28672,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
    },
    "mixtral-8x22b": {
        "model_type": "mixtral",
        "num_hidden_layers": 56,
        "hidden_size": 6144,
        "vocab_size": 32000,
        "max_position_embeddings": 65536,
        "num_attention_heads": 48,
        "num_key_value_heads": 8,
        "intermediate_size": 16384,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "sliding_window": None,
        "tie_word_embeddings": False,
    },
    "mixtral-8x7b": {
        "model_type": "mixtral",
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "vocab_size": 32000,
        "max_position_embeddings": 32768,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "sliding_window": None,
        "tie_word_embeddings": False,
    },
    "kimi-k2": {
        "model_type": "kimi_k2",
        "num_hidden_layers": 61,
        "hidden_size": 7168,
        "vocab_size": 163840,
        "max_position_embeddings": 131072,
        "num_attention_heads": 64,
        "num_key_value_heads": 64,
        "intermediate_size": 18432,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 384,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "moe_layer_freq": 1,
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "num_nextn_predict_layers": 0,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    },
    "gpt-oss-120b": {
        "model_type": "gpt_oss",
        "num_hidden_layers": 36,
        "hidden_size": 2880,
        "vocab_size": 201088,
        "max_position_embeddings": 131072,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "intermediate_size": 2880,
        "num_local_experts": 128,
        "num_experts_per_tok": 4,
        "layer_types": ["sliding_attention", "full_attention"] * 18,
        "sliding_window": 128,
        "tie_word_embeddings": False,
        "attention_bias": True,
        "quantization_config": {"quant_method": "mxfp4"},
    },
    "glm-5.3": {
        "model_type": "glm_moe_dsa",
        "num_hidden_layers": 78,
        "hidden_size": 6144,
        "vocab_size": 154880,
        "max_position_embeddings": 1048576,
        "num_attention_heads": 64,
        "num_key_value_heads": 64,
        "head_dim": 192,
        "intermediate_size": 12288,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 256,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 3,
        "moe_layer_freq": 1,
        "q_lora_rank": 2048,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 192,
        "qk_rope_head_dim": 64,
        "qk_head_dim": 256,
        "v_head_dim": 256,
        "num_nextn_predict_layers": 1,
        "index_n_heads": 32,
        "index_head_dim": 128,
        "index_topk": 2048,
        "index_topk_freq": 4,
        "index_skip_topk_offset": 3,
        "indexer_types": INDEXER_TYPES,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    },
    "glm-5.2": {
        "model_type": "glm_moe_dsa",
        "num_hidden_layers": 78,
        "hidden_size": 6144,
        "vocab_size": 154880,
        "max_position_embeddings": 1048576,
        "num_attention_heads": 64,
        "num_key_value_heads": 64,
        "head_dim": 192,
        "intermediate_size": 12288,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 256,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 3,
        "moe_layer_freq": 1,
        "q_lora_rank": 2048,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 192,
        "qk_rope_head_dim": 64,
        "qk_head_dim": 256,
        "v_head_dim": 256,
        "num_nextn_predict_layers": 1,
        "index_n_heads": 32,
        "index_head_dim": 128,
        "index_topk": 2048,
        "index_topk_freq": 4,
        "index_skip_topk_offset": 3,
        "indexer_types": INDEXER_TYPES,
        "tie_word_embeddings": False,
        "attention_bias": False,
    },
    "glm-5": {
        "model_type": "glm_moe_dsa",
        "num_hidden_layers": 78,
        "hidden_size": 6144,
        "vocab_size": 154880,
        "max_position_embeddings": 202752,
        "num_attention_heads": 64,
        "num_key_value_heads": 64,
        "head_dim": 64,
        "intermediate_size": 12288,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 256,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 3,
        "moe_layer_freq": 1,
        "q_lora_rank": 2048,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 192,
        "qk_rope_head_dim": 64,
        "qk_head_dim": 256,
        "v_head_dim": 256,
        "num_nextn_predict_layers": 1,
        "index_n_heads": 32,
        "index_head_dim": 128,
        "index_topk": 2048,
        "tie_word_embeddings": False,
        "attention_bias": False,
    },
}


def written(folder: Path, values: dict[str, Any]) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", CONFIGS)
def test_configuration_gives_the_catalog_spec(name: str, tmp_path: Path) -> None:
    """Every field read from a published configuration equals the catalog row of that model."""
    spec = read_config(written(tmp_path, CONFIGS[name]))
    row = load_model(name)
    assert replace(spec, name=row.name, note=row.note) == row
    assert main_parameters(spec) == main_parameters(row)
    assert checkpoint_parameters(spec) == checkpoint_parameters(row)


def test_rule_and_explicit_list_place_the_same_indexers(tmp_path: Path) -> None:
    """GLM-5.2 owns indexers in layers 0, 1, 2, 6, 10, ..., 74 by its list, and by its spacing rule without the list."""
    values = dict(CONFIGS["glm-5.2"])
    expected = (0, 1, 2, *range(6, 75, 4))
    assert read_config(written(tmp_path, values)).indexer_layers == expected
    del values["indexer_types"]
    assert read_config(written(tmp_path, values)).indexer_layers == expected


def test_explicit_indexer_list_wins_over_the_rule(tmp_path: Path) -> None:
    """A list that disagrees with the spacing rule is believed, and the parameter count follows it."""
    values = CONFIGS["glm-5.2"] | {"indexer_types": ["full"] * 78}
    spec = read_config(written(tmp_path, values))
    assert len(spec.indexer_layers) == 78
    assert main_parameters(spec) == 743_911_199_232


def test_head_dim_does_not_matter_for_latent_attention(tmp_path: Path) -> None:
    """GLM-5.x writes head_dim 192 or 64, neither of which is a cache width: the spec ignores it."""
    values = CONFIGS["glm-5.2"]
    assert read_config(written(tmp_path, values | {"head_dim": 64})).kv_latent_dim == 576


def test_nvfp4_configuration_is_recognised_and_sized(tmp_path: Path) -> None:
    """A ModelOpt NVFP4 configuration reads as nvfp4, and GLM-5.2 in it takes 464.79 GB."""
    scheme = {"quant_method": "modelopt", "quant_algo": "NVFP4", "config_groups": {}}
    spec = read_config(written(tmp_path, CONFIGS["glm-5.2"] | {"quantization_config": scheme}))
    assert spec.native_weights == "nvfp4"
    assert checkpoint_bytes(spec, spec.native_weights) == 464_794_728_448
