"""Every weight tensor of a model, with what the formats and the parallel layouts do to it.

One list answers all questions about weights: how many parameters, how many bytes in a format, how many of them on one
GPU. Shapes are (output rows, input columns), as checkpoints store them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from sim.llm.spec import ModelSpec

Component = Literal[
    "embedding",
    "head",
    "attention",
    "indexer",
    "dense_mlp",
    "routed_experts",
    "shared_experts",
    "router",
    "norms",
    "biases",
]
Role = Literal["linear", "routed", "kept"]
Sharding = Literal["replicated", "heads", "kv_heads", "tensor", "dense", "experts", "not_loaded"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """`count` equal weight tensors.

    Attributes
    ----------
    component, name : where it belongs and what it is called, e.g. `attention`, `q_b`.
    rows, columns, count : shape (output, input) and how many of them the model has.
    role : `linear` and `routed` weights are converted as the format says; `kept` ones stay BF16 in every format.
    sharding : `heads` and `kv_heads` over attention-tensor ranks, `tensor` over tensor ranks, `dense` over tensor ranks
        or, with pure data-parallel attention, over data ranks; `experts` over the stage; `not_loaded` is only on disk.
    matmul : whether it takes part in every token's multiplications (norms, biases and the embedding do not).
    mtp : whether it belongs to the multi-token-prediction layers.
    is_parameter : False for the FP32 score-correction values, which no published parameter count includes.
    """

    component: Component
    name: str
    rows: int
    columns: int
    count: int
    role: Role
    sharding: Sharding
    matmul: bool = True
    mtp: bool = False
    is_parameter: bool = True

    @property
    def elements(self) -> int:
        """Values in all copies."""
        return self.rows * self.columns * self.count


@lru_cache(maxsize=64)
def inventory(spec: ModelSpec) -> tuple[Tensor, ...]:
    """All weight tensors of the checkpoint, the MTP layers included.

    Formulas: the projections of DeepSeek-V2 (arXiv 2405.04434) for MLA, of the Hugging Face implementations otherwise.
    Checked against the exact integers of 21 published models, e.g. 743,377,000,704 + 9,952,920,320 for GLM-5.2.
    """
    h, layers, mtp = spec.hidden_size, spec.num_layers, spec.mtp_layers
    tensors = [
        Tensor("embedding", "embed_tokens", spec.vocab_size, h, 1, "kept", "dense", matmul=False),
        # A tied head is the embedding again: multiplied with, but stored once.
        Tensor("head", "lm_head", spec.vocab_size, h, 0 if spec.tie_word_embeddings else 1, "kept", "dense"),
        Tensor("norms", "final_norm", 1, h, 1, "kept", "replicated", matmul=False),
        *_attention(spec, layers, mtp=False),
        *_indexer(spec, spec.num_indexer_layers, mtp=False),
        *_mlp("dense_mlp", h, spec.dense_intermediate_size, spec.num_dense_layers, "linear", "dense", mtp=False),
        *_moe(spec, spec.num_moe_layers, mtp=False),
    ]
    if mtp:
        tensors += [
            *_attention(spec, mtp, mtp=True),
            *_indexer(spec, mtp if spec.indexer_layers else 0, mtp=True),
            *_moe(spec, mtp, mtp=True),
            Tensor("attention", "eh_proj", h, 2 * h, mtp, "kept", "replicated", mtp=True),
            Tensor("norms", "enorm_hnorm_norm", 3, h, mtp, "kept", "replicated", matmul=False, mtp=True),
        ]
        if spec.mtp_duplicates_embedding:
            # Engines let the draft layer use the main embedding and head, so the copies cost disk, not memory.
            tensors.append(
                Tensor("head", "mtp_copy", spec.vocab_size, h, 2 * mtp, "kept", "not_loaded", matmul=False, mtp=True)
            )
    return tuple(tensor for tensor in tensors if tensor.elements)


def _attention(spec: ModelSpec, layers: int, *, mtp: bool) -> list[Tensor]:
    h, n, g = spec.hidden_size, spec.num_attention_heads, spec.num_kv_heads

    def linear(name: str, rows: int, columns: int, sharding: Sharding) -> Tensor:
        return Tensor("attention", name, rows, columns, layers, "linear", sharding, mtp=mtp)

    def vector(component: Component, name: str, width: int, sharding: Sharding) -> Tensor:
        return Tensor(component, name, 1, width, layers, "kept", sharding, matmul=False, mtp=mtp)

    if spec.attention_params_per_layer:
        projections = [linear("projections", spec.attention_params_per_layer // h, h, "heads")]
    elif spec.attention == "mla":
        q_rank, kv_rank = spec.q_lora_rank, spec.kv_lora_rank
        head = spec.qk_nope_head_dim + spec.qk_rope_head_dim
        projections = [
            linear("q_a", q_rank, h, "replicated"),
            linear("q_b", n * head, q_rank or h, "heads"),
            linear("kv_a", kv_rank + spec.qk_rope_head_dim, h, "replicated"),
            linear("kv_b", n * (spec.qk_nope_head_dim + spec.v_head_dim), kv_rank, "heads"),
            linear("o", h, n * spec.v_head_dim, "heads"),
            vector("norms", "latent_norms", q_rank + kv_rank, "replicated"),
        ]
    else:
        projections = [
            linear("q", n * spec.qk_head_dim, h, "heads"),
            linear("k", g * spec.qk_head_dim, h, "kv_heads"),
            linear("v", g * spec.v_head_dim, h, "kv_heads"),
            linear("o", h, n * spec.v_head_dim, "heads"),
        ]
    qk_width = (n + g if spec.qk_norm_per_layer else 2) * spec.qk_head_dim if spec.qk_norm else 0
    qkv_bias = n * spec.qk_head_dim + g * (spec.qk_head_dim + spec.v_head_dim) if spec.attention_bias else 0
    return [
        *projections,
        vector("norms", "layer_norms", 2 * h, "replicated"),
        vector("norms", "qk_norms", qk_width, "replicated"),
        vector("biases", "qkv_bias", qkv_bias, "replicated"),
        vector("biases", "o_bias", h if spec.attention_output_bias else 0, "replicated"),
        vector("biases", "sinks", n if spec.attention_sinks else 0, "replicated"),
    ]


def _indexer(spec: ModelSpec, layers: int, *, mtp: bool) -> list[Tensor]:
    h, heads, width = spec.hidden_size, spec.index_n_heads, spec.index_head_dim
    if spec.attention_params_per_layer:
        return []
    # Block-sparse GQA (MiniMax-M3) scores from the hidden state and has no per-head weights.
    mla = spec.attention == "mla"
    return [
        Tensor(
            "indexer",
            "wq",
            heads * width,
            (spec.q_lora_rank or h) if mla else h,
            layers,
            "linear",
            "replicated",
            mtp=mtp,
        ),
        Tensor("indexer", "wk", width, h, layers, "linear", "replicated", mtp=mtp),
        Tensor("indexer", "weights_proj", heads if mla else 0, h, layers, "kept", "replicated", mtp=mtp),
        Tensor("norms", "indexer_norms", 2, width, layers, "kept", "replicated", matmul=False, mtp=mtp),
    ]


def _moe(spec: ModelSpec, layers: int, *, mtp: bool) -> list[Tensor]:
    if not spec.num_experts:
        # The draft layer of a dense model is a dense layer.
        dense = layers if mtp else 0
        return _mlp("dense_mlp", spec.hidden_size, spec.dense_intermediate_size, dense, "linear", "dense", mtp=mtp)
    h, experts, width = spec.hidden_size, spec.num_experts, spec.moe_intermediate_size
    expert_bias = 2 * width + spec.expert_hidden_size if spec.expert_bias else 0
    copies = layers * experts
    router = [
        Tensor("router", "gate", experts, h, layers, "kept", "replicated", mtp=mtp),
        Tensor(
            "router",
            "score_correction",
            1,
            experts if spec.router_correction_bias else 0,
            layers,
            "kept",
            "replicated",
            matmul=False,
            mtp=mtp,
            is_parameter=False,
        ),
        Tensor(
            "biases",
            "router_bias",
            1,
            experts if spec.router_bias else 0,
            layers,
            "kept",
            "replicated",
            matmul=False,
            mtp=mtp,
        ),
        Tensor("biases", "expert_bias", 1, expert_bias, copies, "kept", "experts", matmul=False, mtp=mtp),
    ]
    shared = layers * spec.num_shared_experts
    return [
        *_mlp("routed_experts", spec.expert_hidden_size, width, copies, "routed", "experts", mtp=mtp),
        *_mlp("shared_experts", h, width, shared, "linear", "tensor", mtp=mtp),
        *router,
    ]


def _mlp(
    component: Component, hidden: int, width: int, count: int, role: Role, sharding: Sharding, *, mtp: bool
) -> list[Tensor]:
    """SwiGLU: gate and up (width, hidden), down (hidden, width)."""
    return [
        Tensor(component, "gate_up", width, hidden, 2 * count, role, sharding, mtp=mtp),
        Tensor(component, "down", hidden, width, count, role, sharding, mtp=mtp),
    ]
