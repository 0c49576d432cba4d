"""How each architecture family names its shape in `config.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from sim.llm.config_fields import ConfigFields
from sim.llm.config_quantization import native_weights
from sim.llm.spec import ModelSpec


def _common(values: ConfigFields) -> dict[str, Any]:
    """Fields that every family spells alike."""
    return {
        "name": values.file,
        "family": values.word("model_type"),
        "num_layers": values.count("num_hidden_layers", at_most=10_000),
        "hidden_size": values.count("hidden_size", at_most=1 << 20),
        "vocab_size": values.count("vocab_size", at_most=1 << 26),
        "max_context_tokens": values.count("max_position_embeddings"),
        "num_attention_heads": values.count("num_attention_heads", at_most=1 << 16),
        "tie_word_embeddings": values.flag("tie_word_embeddings"),
        "native_weights": native_weights(values),
    }


def _gqa(values: ConfigFields) -> dict[str, Any]:
    """Common fields and grouped-query attention."""
    shape = _common(values)
    heads = shape["num_attention_heads"]
    kv_heads = values.count("num_key_value_heads", default=heads, at_most=heads)
    if heads % kv_heads:
        values.reject("num_key_value_heads", f"must divide the {heads} attention heads")
    width = values.count("head_dim", default=max(1, shape["hidden_size"] // heads), at_most=1 << 16)
    return shape | {"attention": "gqa", "num_kv_heads": kv_heads, "qk_head_dim": width, "v_head_dim": width}


def _experts(values: ConfigFields, *count_keys: str, width_key: str = "moe_intermediate_size") -> dict[str, Any]:
    """Routed experts."""
    experts = values.count(*count_keys, at_most=1 << 20)
    chosen = values.count("num_experts_per_tok", at_most=experts)
    width = values.count(width_key, at_most=1 << 24)
    return {"num_experts": experts, "num_experts_per_token": chosen, "moe_intermediate_size": width}


def _leading_dense(values: ConfigFields, num_layers: int) -> dict[str, Any]:
    """Dense layers before the experts, shared experts and MTP layers, as DeepSeek and GLM spell them."""
    dense = values.count("first_k_dense_replace", at_least=0, at_most=num_layers)
    if values.count("moe_layer_freq", default=1) != 1:
        values.reject("moe_layer_freq", "must be 1: other spacings are not supported")
    return {
        "num_dense_layers": dense,
        "dense_intermediate_size": values.count("intermediate_size", at_most=1 << 24) if dense else 0,
        "num_shared_experts": values.count("n_shared_experts", default=0, at_least=0, at_most=1 << 10),
        "mtp_layers": values.count("num_nextn_predict_layers", default=0, at_least=0, at_most=100),
        "router_correction_bias": True,
    }


def _mla(values: ConfigFields) -> dict[str, Any]:
    """Common fields, latent attention and routed experts of the DeepSeek-V3 line."""
    shape = _common(values)
    _refuse(values, "attention_bias")
    nope = values.count("qk_nope_head_dim", at_most=1 << 16)
    rope = values.count("qk_rope_head_dim", at_least=0, at_most=1 << 16)
    if values.count("qk_head_dim", default=nope + rope) != nope + rope:
        values.reject("qk_head_dim", f"must be qk_nope_head_dim + qk_rope_head_dim = {nope + rope}")
    return (
        shape
        | {
            "attention": "mla",
            "num_kv_heads": shape["num_attention_heads"],
            "qk_head_dim": nope + rope,
            "v_head_dim": values.count("v_head_dim", at_most=1 << 16),
            "q_lora_rank": values.count("q_lora_rank", default=0, at_least=0, at_most=1 << 20),
            "kv_lora_rank": values.count("kv_lora_rank", at_most=1 << 20),
            "qk_nope_head_dim": nope,
            "qk_rope_head_dim": rope,
        }
        | _experts(values, "n_routed_experts")
        | _leading_dense(values, shape["num_layers"])
    )


def _deepseek(values: ConfigFields) -> ModelSpec:
    """DeepSeek-V3, R1 and Kimi-K2: dense latent attention. The MTP module stores embedding and head again."""
    shape = _mla(values)
    return ModelSpec(**shape, mtp_duplicates_embedding=shape["mtp_layers"] > 0)


def _deepseek_v32(values: ConfigFields) -> ModelSpec:
    """DeepSeek-V3.2: an indexer in every layer."""
    shape = _mla(values)
    return ModelSpec(**shape, **_indexer(values, shape["num_layers"]), mtp_duplicates_embedding=shape["mtp_layers"] > 0)


def _glm_moe_dsa(values: ConfigFields) -> ModelSpec:
    """GLM-5.x: sparse latent attention; from 5.2 on, layers share indexers."""
    shape = _mla(values)
    return ModelSpec(**shape, **_indexer(values, shape["num_layers"]))


def _indexer(values: ConfigFields, num_layers: int) -> dict[str, Any]:
    """Indexer shape and the layers that own one: the explicit list, else the spacing rule, else every layer."""
    types = values.words("indexer_types", choices=("full", "shared"), length=num_layers)
    spacing = values.count("index_topk_freq", default=1)
    offset = values.count("index_skip_topk_offset", default=0, at_least=0)
    if types is None:
        owners = tuple(layer for layer in range(num_layers) if max(layer - offset + 1, 0) % spacing == 0)
    else:
        owners = tuple(layer for layer, kind in enumerate(types) if kind == "full")
    if not owners or owners[0] != 0:
        values.reject("indexer_types", "must start with a full layer, whose indices the next ones share")
    return {
        "indexer_layers": owners,
        "index_n_heads": values.count("index_n_heads", at_most=1 << 16),
        "index_head_dim": values.count("index_head_dim", at_most=1 << 16),
        "index_topk_tokens": values.count("index_topk"),
    }


def _glm4_moe(values: ConfigFields) -> ModelSpec:
    """GLM-4.5, 4.6, 4.7. The configuration does not say whether the MTP layer repeats embedding and head."""
    shape = _gqa(values)
    return ModelSpec(
        **shape,
        **_experts(values, "n_routed_experts"),
        **_leading_dense(values, shape["num_layers"]),
        attention_bias=values.flag("attention_bias"),
        qk_norm=values.flag("use_qk_norm"),
        note="MTP layer counted without copies of embedding and head, as in GLM-4.6",
    )


def _qwen3_moe(values: ConfigFields) -> ModelSpec:
    """Qwen3 MoE: every head normalised; dense layers only where listed or between sparse steps."""
    shape = _gqa(values)
    layers = shape["num_layers"]
    step, listed = values.count("decoder_sparse_step", default=1), values.layers("mlp_only_layers", num_layers=layers)
    dense = sum(layer in listed or (layer + 1) % step != 0 for layer in range(layers))
    if values.flag("use_sliding_window"):
        values.reject("use_sliding_window", "must be false: sliding windows of this family are not supported")
    bias = values.flag("attention_bias", default=values.flag("qkv_bias"))
    return ModelSpec(
        **shape,
        **_experts(values, "num_experts"),
        num_dense_layers=dense,
        dense_intermediate_size=values.count("intermediate_size", at_most=1 << 24) if dense else 0,
        attention_bias=bias,
        attention_output_bias=values.flag("attention_bias"),
        qk_norm=True,
    )


def _gpt_oss(values: ConfigFields) -> ModelSpec:
    """gpt-oss: alternating windows, attention sinks, biases everywhere."""
    shape = _gqa(values)
    kinds = (
        values.words("layer_types", choices=("sliding_attention", "full_attention"), length=shape["num_layers"])
        or ["full_attention"] * shape["num_layers"]
    )
    windows = kinds.count("sliding_attention")
    bias = values.flag("attention_bias", default=True)
    return ModelSpec(
        **shape,
        **_experts(values, "num_local_experts", width_key="intermediate_size"),
        window_layers=windows,
        window_tokens=values.count("sliding_window") if windows else 0,
        attention_bias=bias,
        attention_output_bias=bias,
        attention_sinks=True,
        router_bias=True,
        expert_bias=True,
    )


def _mixtral(values: ConfigFields) -> ModelSpec:
    """Mixtral: eight wide experts, optionally a sliding window in every layer."""
    shape = _gqa(values)
    window = values.count("sliding_window", default=0, at_least=0)
    return ModelSpec(
        **shape,
        **_experts(values, "num_local_experts", width_key="intermediate_size"),
        window_layers=shape["num_layers"] if window else 0,
        window_tokens=window,
    )


def _llama(values: ConfigFields) -> ModelSpec:
    """Llama: dense."""
    shape = _gqa(values)
    _refuse(values, "mlp_bias")
    bias = values.flag("attention_bias")
    return ModelSpec(
        **shape,
        num_dense_layers=shape["num_layers"],
        dense_intermediate_size=values.count("intermediate_size", at_most=1 << 24),
        attention_bias=bias,
        attention_output_bias=bias,
    )


def _minimax_m2(values: ConfigFields) -> ModelSpec:
    """MiniMax-M2: the declared MTP modules are not in the public checkpoint and are left out."""
    shape = _gqa(values)
    kind = values.word("qk_norm_type", default="per_layer")
    if kind not in ("per_layer", "per_head"):
        values.reject("qk_norm_type", "must be per_layer or per_head")
    _refuse(values, "attention_bias")
    if values.count("shared_intermediate_size", default=0, at_least=0):
        values.reject("shared_intermediate_size", "must be 0: shared experts of this family are not supported")
    return ModelSpec(
        **shape,
        **_experts(values, "num_local_experts", width_key="intermediate_size"),
        qk_norm=values.flag("use_qk_norm", default=True),
        qk_norm_per_layer=kind == "per_layer",
        router_correction_bias=values.flag("use_routing_bias", default=True),
    )


def _refuse(values: ConfigFields, key: str) -> None:
    if values.flag(key):
        values.reject(key, "must be false: such biases are not supported for this family")


FAMILIES: Final[Mapping[str, Callable[[ConfigFields], ModelSpec]]] = MappingProxyType(
    {
        "glm_moe_dsa": _glm_moe_dsa,
        "deepseek_v3": _deepseek,
        "deepseek_v32": _deepseek_v32,
        "kimi_k2": _deepseek,
        "glm4_moe": _glm4_moe,
        "qwen3_moe": _qwen3_moe,
        "gpt_oss": _gpt_oss,
        "mixtral": _mixtral,
        "llama": _llama,
        "minimax_m2": _minimax_m2,
    }
)
