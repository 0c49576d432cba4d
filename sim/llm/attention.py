"""What core attention reads: groups of layers that see the same keys, and what one query-key pair costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sim.llm.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class AttentionGroup:
    """Layers whose attention sees the same number of keys.

    Attributes
    ----------
    layers : how many.
    cap_tokens : context beyond which no more keys are read: a window or the indexer's top-k; 0 without a cap.
    stride_tokens : tokens that one key stands for; 1 unless the cache is compressed.
    """

    layers: int
    cap_tokens: int
    stride_tokens: int = 1

    def keys(self, context_tokens: int) -> float:
        """Keys that a token at this context (itself included) attends to, per layer."""
        seen = min(context_tokens, self.cap_tokens) if self.cap_tokens else context_tokens
        return _per(seen, self.stride_tokens)

    def keys_sum(self, new_tokens: int, cached_tokens: int) -> float:
        """Sum of `keys` over `new_tokens` tokens that follow `cached_tokens`, per layer, in closed form."""
        end = cached_tokens + new_tokens
        if not self.cap_tokens:
            return _per(_triangle(end) - _triangle(cached_tokens), self.stride_tokens)
        # Contexts up to `bend` grow with the token; those beyond it all see the cap.
        bend = min(max(self.cap_tokens, cached_tokens), end)
        seen = _triangle(bend) - _triangle(cached_tokens) + self.cap_tokens * (end - bend)
        return _per(seen, self.stride_tokens)


@lru_cache(maxsize=64)
def attention_groups(spec: ModelSpec) -> tuple[AttentionGroup, ...]:
    """The layers of a model, grouped by what their attention sees. Recurrent layers see no keys and are left out.

    Under MLA, layers that share another layer's indexer are sparse too; under grouped-query attention (MiniMax-M3) only
    the layers that own one are.
    """
    attending = spec.num_layers - spec.recurrent_layers
    if not spec.has_sparse_attention:
        groups = (
            AttentionGroup(attending - spec.window_layers, 0, spec.kv_stride_tokens),
            AttentionGroup(spec.window_layers, spec.window_tokens),
        )
        return tuple(group for group in groups if group.layers)
    owners = spec.num_indexer_layers
    shared_cap = spec.index_topk_tokens if spec.attention == "mla" and spec.kv_stride_tokens == 1 else 0
    groups = (
        AttentionGroup(owners, spec.index_topk_tokens * spec.indexer_kv_stride_tokens, spec.indexer_kv_stride_tokens),
        AttentionGroup(attending - owners, shared_cap, spec.kv_stride_tokens),
    )
    return tuple(group for group in groups if group.layers)


def decode_pair_flops(spec: ModelSpec) -> int:
    """FLOPs of one query token against one key in one layer while decoding (139,264 for GLM-5.2, absorbed).

    MLA is counted absorbed, as engines decode: scores and values in the latent.
    """
    n = spec.num_attention_heads
    if spec.attention == "mla":
        return 2 * n * spec.kv_latent_dim + 2 * n * spec.kv_lora_rank
    return 2 * n * (spec.qk_head_dim + spec.v_head_dim)


def prefill_pair_flops(spec: ModelSpec) -> int:
    """FLOPs of one query-key pair in one layer while prefilling (81,920 for DeepSeek-V3, expanded).

    Dense MLA expands the latent into heads for prefill; sparse attention stays absorbed, since every query has its own
    keys.
    """
    if spec.attention == "mla" and not spec.has_sparse_attention:
        head = spec.qk_nope_head_dim + spec.qk_rope_head_dim
        return 2 * spec.num_attention_heads * (head + spec.v_head_dim)
    return decode_pair_flops(spec)


def indexer_flops_per_key(spec: ModelSpec) -> float:
    """FLOPs of all indexers for one token and one token of context (172,032 for GLM-5.2); 0 without an indexer."""
    per_token = spec.num_indexer_layers * 2 * spec.index_n_heads * spec.index_head_dim
    return _per(per_token, spec.indexer_kv_stride_tokens)


def _triangle(n: int) -> int:
    return n * (n + 1) // 2


def _per(count: int, stride: int) -> float:
    """`count / stride`, kept an exact integer where it is one: prefill counts exceed what a float holds exactly."""
    return count // stride if count % stride == 0 else count / stride
