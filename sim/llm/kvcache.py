"""KV cache bytes: what one token costs, what one sequence costs, and what one GPU of a layout holds of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sim.catalog import tables
from sim.errors import ScenarioError, nearest
from sim.llm.layout import Layout
from sim.llm.spec import ModelSpec

IndexerPolicy = Literal["owners", "all_layers"]
KV_CACHE_DTYPES: Final = ("bf16", "fp8", "fp8_flat", "fp8_ds_mla")
INDEXER_POLICIES: Final = ("owners", "all_layers")
TABLE: Final = "kv_formats"


@dataclass(frozen=True, slots=True)
class KvTokenBytes:
    """Bytes that one token of context takes.

    Attributes
    ----------
    attention_bytes : latents or keys and values of the layers whose cache grows.
    indexer_bytes : keys of the sparse-attention indexers.
    draft_bytes : cache of the multi-token-prediction layers, their own indexer included.
    """

    attention_bytes: float
    indexer_bytes: float
    draft_bytes: float

    @property
    def total_bytes(self) -> float:
        """Sum of all parts."""
        return self.attention_bytes + self.indexer_bytes + self.draft_bytes


def kv_token_bytes(
    spec: ModelSpec, kv_cache_dtype: str, *, indexer_policy: IndexerPolicy = "owners", draft: bool = False
) -> KvTokenBytes:
    """Bytes per token over all layers, counted once (no replication).

    Parameters
    ----------
    kv_cache_dtype : `bf16`; `fp8`, which means the 656-byte FlashMLA layout for sparse-attention MLA and plain bytes
        otherwise; or one of these by name, `fp8_ds_mla` and `fp8_flat`.
    indexer_policy : `owners` caches indexer keys only where a layer owns an indexer; `all_layers` is what engines did
        before they knew shared indexers (SGLang before pull request 30531).
    draft : add the pool of the multi-token-prediction layers.

    Raises
    ------
    ScenarioError : unknown `kv_cache_dtype` or policy, or `fp8_ds_mla` for a model without a latent.

    Checked for GLM-5.2: 92,628 (bf16), 53,940 (fp8), 47,700 (fp8_flat); with draft 93,912, 54,728, 48,408.
    """
    if indexer_policy not in INDEXER_POLICIES:
        raise ScenarioError(
            "unknown indexer policy", key="indexer_policy", value=indexer_policy, valid=", ".join(INDEXER_POLICIES)
        )
    entry, index = layer_entry_bytes(spec, kv_cache_dtype), index_entry_bytes(spec)
    growing = spec.num_layers - spec.window_layers - spec.recurrent_layers
    owners = spec.num_indexer_layers
    indexers = spec.num_layers if owners and indexer_policy == "all_layers" else owners
    attention = owners / spec.indexer_kv_stride_tokens + (growing - owners) / spec.kv_stride_tokens
    return KvTokenBytes(
        attention_bytes=entry * attention,
        indexer_bytes=index * indexers / spec.indexer_kv_stride_tokens,
        draft_bytes=float(spec.mtp_layers * (entry + (index if owners else 0))) if draft else 0.0,
    )


def kv_token_gpu_bytes(
    spec: ModelSpec,
    layout: Layout,
    kv_cache_dtype: str,
    *,
    indexer_policy: IndexerPolicy = "owners",
    draft: bool = False,
) -> KvTokenBytes:
    """Bytes per token on each GPU of the attention rank that serves the request, averaged over pipeline stages.

    Decode context parallelism divides all of it by token: latents, keys and values, indexer keys and draft pool.
    """
    whole = kv_token_bytes(spec, kv_cache_dtype, indexer_policy=indexer_policy, draft=draft)
    heads = _shard_frac(spec, layout)
    parts = layout.pipeline_parallel_size * layout.decode_context_parallel_size
    # Indexer keys have one head: every tensor rank holds those of its tokens, whatever the attention does.
    draft_index = index_entry_bytes(spec) * spec.mtp_layers if draft and spec.indexer_layers else 0
    return KvTokenBytes(
        attention_bytes=whole.attention_bytes * heads / parts,
        indexer_bytes=whole.indexer_bytes / parts,
        draft_bytes=((whole.draft_bytes - draft_index) * heads + draft_index) / parts,
    )


def kv_sequence_bytes(spec: ModelSpec, kv_cache_dtype: str) -> float:
    """Constant bytes per sequence: full windows of windowed layers, and recurrent states.

    Checked: gpt-oss-120b 4,718,592 and Llama-4-Maverick 1,207,959,552 in BF16.
    """
    windows = layer_entry_bytes(spec, kv_cache_dtype) * spec.window_layers * spec.window_tokens
    return float(windows + spec.state_bytes_per_sequence)


def kv_sequence_gpu_bytes(spec: ModelSpec, layout: Layout, kv_cache_dtype: str) -> float:
    """Constant bytes per sequence on each GPU of its attention rank, averaged over pipeline stages."""
    windows = kv_sequence_bytes(spec, kv_cache_dtype) - spec.state_bytes_per_sequence
    # Recurrent states have heads to divide; windows of a single latent have not.
    state = spec.state_bytes_per_sequence / (layout.tensor_parallel_size if spec.recurrent_layers else 1)
    return (windows * _shard_frac(spec, layout) + state) / layout.pipeline_parallel_size


def layer_entry_bytes(spec: ModelSpec, kv_cache_dtype: str) -> int:
    """Bytes of one cached token in one layer, without indexer (1152, 656 or 576 for GLM-5.2)."""
    facts = _cache_format(spec, kv_cache_dtype)
    value = int(tables.number(TABLE, facts, "value_bytes"))
    if spec.attention == "gqa":
        return spec.num_kv_heads * (spec.qk_head_dim + spec.v_head_dim) * value
    groups = -(-spec.kv_lora_rank // int(tables.number(TABLE, facts, "scale_group")))
    scales = groups * int(tables.number(TABLE, facts, "scale_bytes"))
    rope = spec.qk_rope_head_dim * int(tables.number(TABLE, facts, "rope_value_bytes"))
    return spec.kv_lora_rank * value + scales + rope


def index_entry_bytes(spec: ModelSpec) -> int:
    """Bytes of one cached indexer key (132 for DeepSeek sparse attention, whatever the cache type)."""
    facts = "index_fp8" if spec.attention == "mla" else "index_bf16"
    groups = -(-spec.index_head_dim // int(tables.number(TABLE, facts, "scale_group")))
    scales = groups * int(tables.number(TABLE, facts, "scale_bytes"))
    return spec.index_head_dim * int(tables.number(TABLE, facts, "value_bytes")) + scales


def _cache_format(spec: ModelSpec, kv_cache_dtype: str) -> str:
    if kv_cache_dtype not in KV_CACHE_DTYPES:
        raise ScenarioError(
            "unknown cache type",
            key="kv_cache_dtype",
            value=kv_cache_dtype,
            valid=", ".join(KV_CACHE_DTYPES),
            nearest=nearest(kv_cache_dtype, KV_CACHE_DTYPES),
        )
    if kv_cache_dtype == "fp8":
        return "fp8_ds_mla" if spec.attention == "mla" and spec.has_sparse_attention else "fp8_flat"
    if kv_cache_dtype == "fp8_ds_mla" and spec.attention != "mla":
        raise ScenarioError(
            f"{spec.name} has no latent that this layout could hold",
            key="kv_cache_dtype",
            value=kv_cache_dtype,
            valid="bf16, fp8, fp8_flat",
        )
    return kv_cache_dtype


def _shard_frac(spec: ModelSpec, layout: Layout) -> float:
    """Share of a layer's cache on one tensor rank: all of a latent, whole heads of grouped-query attention."""
    if spec.attention == "mla":
        return 1.0
    return -(-spec.num_kv_heads // layout.tensor_parallel_size) / spec.num_kv_heads
