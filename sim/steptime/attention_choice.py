"""Which attention law a model runs: a fitted module where the shape has one, else the general kernel."""

from __future__ import annotations

from sim.llm.kvcache import index_entry_bytes, layer_entry_bytes
from sim.steptime.attention import AttentionLaw
from sim.steptime.context_parallel import SharedContext
from sim.steptime.dsa import SparseLatentAttention
from sim.steptime.gqa import CoreAttention
from sim.steptime.inputs import LawInputs
from sim.steptime.mla import LatentAttention


def attention_law(inputs: LawInputs) -> AttentionLaw:
    """Attention of all layers on one GPU of an attention rank."""
    if not inputs.uses_latent_module:
        law: AttentionLaw = _core(inputs)
    else:
        law = _sparse_latent(inputs) if inputs.spec.has_sparse_attention else _latent(inputs)
    layout = inputs.layout
    if layout.decode_context_parallel_size > 1 or layout.prefill_context_parallel_size > 1:
        return SharedContext(law, inputs)
    return law


def _core(inputs: LawInputs) -> CoreAttention:
    spec, tensor = inputs.spec, inputs.layout.tensor_parallel_size
    # A latent is on every tensor rank; heads divide, but a rank needs whole ones.
    heads_frac = -(-spec.num_kv_heads // tensor) / spec.num_kv_heads if spec.attention == "gqa" else 1.0
    return CoreAttention(
        spec=spec,
        head_frac=1 / tensor,
        hbm_bytes_per_s=inputs.hardware.hbm_bytes_per_s,
        peak_bf16=inputs.hardware.peak_bf16,
        cache_bytes=layer_entry_bytes(spec, inputs.kv_cache_dtype)
        * heads_frac
        / inputs.layout.decode_context_parallel_size,
        index_bytes=index_entry_bytes(spec) if spec.indexer_layers else 0,
        state_bytes=spec.state_bytes_per_sequence / tensor,
        decode_kernel=inputs.engine_kernel("gqa_decode"),
        prefill_kernel=inputs.engine_kernel("gqa_prefill"),
        queries=inputs.queries,
    )


def _latent(inputs: LawInputs) -> LatentAttention:
    spec, linear = inputs.spec, inputs.linear
    cache = "bf16" if inputs.kv_cache_dtype == "bf16" else "fp8"
    math = "fp8" if linear.precision == "fp8" else "bf16"
    return LatentAttention(
        spec=spec,
        layers=spec.num_layers,
        heads=spec.num_attention_heads / inputs.layout.tensor_parallel_size,
        weights=linear,
        hbm_bytes_per_s=inputs.hardware.hbm_bytes_per_s,
        peak_bf16=inputs.hardware.peak_bf16,
        cache_bytes=layer_entry_bytes(spec, inputs.kv_cache_dtype),
        decode_kernel=inputs.engine_kernel(f"mla_decode_{cache}_{math}"),
        prefill_kernel=inputs.engine_kernel(f"mla_prefill_{math}"),
        latent=inputs.gemm(spec.q_lora_rank + spec.kv_latent_dim, spec.hidden_size, linear),
        queries=inputs.queries,
        context_shards=inputs.layout.decode_context_parallel_size,
    )


def _sparse_latent(inputs: LawInputs) -> SparseLatentAttention:
    spec, hardware = inputs.spec, inputs.hardware
    return SparseLatentAttention(
        spec=spec,
        heads=spec.num_attention_heads / inputs.layout.tensor_parallel_size,
        weights=inputs.linear,
        hbm_bytes_per_s=hardware.hbm_bytes_per_s,
        peak_bf16=hardware.peak_bf16,
        index_peak=hardware.peak_fp8 or hardware.peak_bf16,
        cache_bytes=layer_entry_bytes(spec, inputs.kv_cache_dtype),
        decode_kernel=inputs.engine_kernel("dsa_decode"),
        prefill_kernel=inputs.engine_kernel("dsa_prefill"),
        queries=inputs.queries,
        context_shards=inputs.layout.decode_context_parallel_size,
    )
