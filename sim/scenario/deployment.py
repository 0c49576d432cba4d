"""How the model is laid out over GPUs, and the limits of its engine, by vLLM's names."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.section import Count, CountOrZero, Section
from sim.scenario.tiers import HostCacheSection, RemoteCacheSection


class LayoutSection(Section):
    """Parallel layout of one replica."""

    tensor_parallel_size: Count = 8
    """GPUs that share the attention heads of one rank."""
    pipeline_parallel_size: Count = 1
    """Stages that divide the layers."""
    data_parallel_size: Count = 1
    """Attention ranks in lockstep, each with its own queue, batch and KV pool."""
    enable_expert_parallel: bool = False
    """Whole experts per GPU over tensor x data ranks, instead of a slice of each expert."""
    redundant_experts: CountOrZero = 0
    """Extra expert copies, so that experts divide the ranks."""


class EngineSection(Section):
    """Engine and its limits."""

    name: Literal["vllm", "sglang", "tensorrt-llm"] = "sglang"
    """Serving engine: sets kernel families, host overhead, cache layout and memory reserve."""
    max_num_seqs: Count = 256
    """Sequences that run at once, per attention rank."""
    max_num_batched_tokens: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] = 8192
    """Tokens per step and batch; a longer prompt is prefilled in chunks."""
    block_size: Annotated[int, Field(strict=True, ge=1, le=4096)] = 64
    """Tokens per KV block."""
    enable_prefix_caching: bool = False
    """Keep the KV of requests that have left, for others whose prompts begin alike."""
    host_cache: HostCacheSection | None = None
    """Host memory that keeps what is evicted from the GPUs; none without it."""
    preemption_mode: Literal["recompute", "swap"] = "recompute"
    """What becomes of a preempted request: its KV is computed again, or moved to host memory and back."""
    gpu_memory_utilization: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] = 0.9
    """Share of the GPU memory that the engine may use."""
    kv_cache_dtype: Literal["auto", "bf16", "fp8", "fp8_flat", "fp8_ds_mla"] = "auto"
    """Cache layout; `auto` is the engine's default for the model."""
    indexer_policy: Literal["auto", "owners", "all_layers"] = "auto"
    """Layers that get an indexer cache: those that own an indexer, or all; `auto` is the engine's default."""
    max_model_len: Annotated[int, Field(strict=True, ge=1, le=100_000_000)] | None = None
    """Longest request (input plus output tokens); without it, what the model admits."""
    runtime_reserve_gib: Annotated[float, Field(strict=True, ge=0.0, le=1000.0)] | None = None
    """Memory per GPU for activations, graphs and buffers; without it, the engine's default for the layout."""
    host_overhead_ms: Annotated[float, Field(strict=True, ge=0.0, le=10_000.0)] | None = None
    """Host time per step that no kernel covers; without it, the engine's default."""
    scheduling_policy: Literal["fcfs", "shortest_prefill"] = "fcfs"
    """Order of waiting requests."""
    scheduler_reserve_full_isl: bool = True
    """Admit a request only when its whole prompt fits in the cache, not just its first chunk."""

    @model_validator(mode="after")
    def _budget_covers_the_batch(self) -> Self:
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError(
                f"max_num_batched_tokens {self.max_num_batched_tokens} is below max_num_seqs {self.max_num_seqs}: "
                "a step could not decode all running sequences"
            )
        return self

    @model_validator(mode="after")
    def _tiers_lie_below_a_cache(self) -> Self:
        if self.host_cache is not None and not self.enable_prefix_caching:
            raise ValueError("host_cache keeps what the prefix cache evicts: it needs enable_prefix_caching")
        if self.preemption_mode == "swap" and self.host_cache is None:
            raise ValueError("preemption_mode swap needs host_cache, the memory that preempted requests are moved to")
        return self


class ExpertImbalanceSection(Section):
    """How unevenly tokens fall on expert-parallel GPUs; the hottest GPU sets the pace."""

    law: Literal["uniform", "power_law", "fixed"] | None = None
    """`uniform` routing, popularity by a power law, or a fixed factor; without it, the catalog's default."""
    alpha: Annotated[float, Field(strict=True, ge=0.0, le=3.0)] | None = None
    """Skew of the power law."""
    max_over_mean: Annotated[float, Field(strict=True, ge=1.0, le=100.0)] | None = None
    """Load of the hottest GPU over the mean, for `fixed`."""

    @model_validator(mode="after")
    def _parameter_of_its_law(self) -> Self:
        needed = {"power_law": "alpha", "fixed": "max_over_mean"}.get(self.law or "")
        for key in ("alpha", "max_over_mean"):
            given = getattr(self, key) is not None
            if given and key != needed:
                raise ValueError(f"{key} belongs to the law {'power_law' if key == 'alpha' else 'fixed'}")
            if not given and key == needed:
                raise ValueError(f"the law {self.law} needs {key}")
        return self


class DeploymentSection(Section):
    """Replicas, spares, layout and engine."""

    replicas: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 1
    """Copies of the model behind the router."""
    spare_nodes: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 0
    """Powered nodes that wait to replace a failed one."""
    layout: LayoutSection = LayoutSection()
    """Parallel layout of one replica."""
    engine: EngineSection = EngineSection()
    """Engine and its limits."""
    remote_cache: RemoteCacheSection | None = None
    """One pool of KV for all replicas, below GPU and host memory; none without it."""
    expert_imbalance: ExpertImbalanceSection = ExpertImbalanceSection()
    """Skew of expert load."""

    @model_validator(mode="after")
    def _the_pool_lies_below_a_cache(self) -> Self:
        if self.remote_cache is not None and not self.engine.enable_prefix_caching:
            raise ValueError("remote_cache keeps what prefix caches evict: it needs engine.enable_prefix_caching")
        return self
