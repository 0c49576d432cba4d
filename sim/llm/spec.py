"""What a model is, as far as memory, FLOPs and step time need to know.

Field names follow the Hugging Face configurations. Counts that a shape does not have are zero. Never derive the cache
width from `head_dim`: for MLA models it is `kv_lora_rank + qk_rope_head_dim`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Attention = Literal["mla", "gqa"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Shape of one model.

    Attributes
    ----------
    name : catalog name, or the path of the configuration it was read from.
    family : architecture family, e.g. `glm_moe_dsa`, `deepseek_v3`, `qwen3_moe`.
    attention : `mla` (one latent per token, replicated over tensor ranks) or `gqa` (heads, shardable).
    num_layers, hidden_size, vocab_size, max_context_tokens : as published.
    num_attention_heads, num_kv_heads : query heads, key-value heads (equal for MLA).
    qk_head_dim, v_head_dim : widths of a query-key and of a value head.
    q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim : MLA widths; zero for GQA. A `q_lora_rank` of
        zero under MLA means a full query projection.
    num_dense_layers, dense_intermediate_size : layers with a dense MLP, and its width.
    num_experts, num_experts_per_token, num_shared_experts, moe_intermediate_size : routed and shared experts.
    indexer_layers : indices of the layers that own a sparse-attention indexer; empty without one.
    index_n_heads, index_head_dim, index_topk_tokens : indexer shape and the number of keys it selects.
    window_layers, window_tokens : layers whose attention sees a sliding window or chunk, and its length.
    mtp_layers : multi-token-prediction layers in the checkpoint.
    mtp_duplicates_embedding : whether the checkpoint stores the embedding and head again for them.
    tie_word_embeddings, attention_bias, attention_output_bias, qk_norm, attention_sinks, router_bias, expert_bias :
        details that the exact parameter count needs.
    qk_norm_per_layer : with `qk_norm`, whether its weight spans all heads (MiniMax-M2) instead of one head width.
    router_correction_bias : FP32 score-correction values beside the router: stored, but no parameters.
    native_weights : weight format of the configuration, a name of `sim.llm.formats`.
    expert_input_size : width that routed experts read and write; zero means `hidden_size` (approximate rows only).
    attention_params_per_layer : attention and indexer weights of a layer whose projections these fields do not
        describe; zero means that they do (approximate rows only).
    kv_stride_tokens, indexer_kv_stride_tokens : tokens that one cached entry covers in layers without and with an
        indexer; 1 unless the model compresses its cache (approximate rows only).
    recurrent_layers, state_bytes_per_sequence : layers with a constant state instead of a cache, and the constant bytes
        of a sequence over all layers (approximate rows only).
    exact : whether the parameter count is known to be exact; approximate rows refuse to be used silently.
    """

    name: str
    family: str
    attention: Attention
    num_layers: int
    hidden_size: int
    vocab_size: int
    max_context_tokens: int
    num_attention_heads: int
    num_kv_heads: int
    qk_head_dim: int
    v_head_dim: int
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    qk_nope_head_dim: int = 0
    qk_rope_head_dim: int = 0
    num_dense_layers: int = 0
    dense_intermediate_size: int = 0
    num_experts: int = 0
    num_experts_per_token: int = 0
    num_shared_experts: int = 0
    moe_intermediate_size: int = 0
    indexer_layers: tuple[int, ...] = field(default=())
    index_n_heads: int = 0
    index_head_dim: int = 0
    index_topk_tokens: int = 0
    window_layers: int = 0
    window_tokens: int = 0
    mtp_layers: int = 0
    mtp_duplicates_embedding: bool = False
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    attention_output_bias: bool = False
    qk_norm: bool = False
    attention_sinks: bool = False
    router_bias: bool = False
    expert_bias: bool = False
    qk_norm_per_layer: bool = False
    router_correction_bias: bool = False
    native_weights: str = "bf16"
    expert_input_size: int = 0
    attention_params_per_layer: int = 0
    kv_stride_tokens: int = 1
    indexer_kv_stride_tokens: int = 1
    recurrent_layers: int = 0
    state_bytes_per_sequence: int = 0
    exact: bool = True
    note: str = ""

    @property
    def num_moe_layers(self) -> int:
        """Layers with routed experts."""
        return self.num_layers - self.num_dense_layers if self.num_experts else 0

    @property
    def expert_hidden_size(self) -> int:
        """Width that routed experts read and write."""
        return self.expert_input_size or self.hidden_size

    @property
    def has_sparse_attention(self) -> bool:
        """Whether an indexer selects the keys that attention reads."""
        return self.index_topk_tokens > 0 and bool(self.indexer_layers)

    @property
    def num_indexer_layers(self) -> int:
        """Layers that own an indexer (21 of 78 for GLM-5.2, all for DeepSeek-V3.2)."""
        return len(self.indexer_layers)

    @property
    def kv_latent_dim(self) -> int:
        """Elements of the MLA latent cached per token and layer (576 for DeepSeek-V3 and GLM-5.x)."""
        return self.kv_lora_rank + self.qk_rope_head_dim
