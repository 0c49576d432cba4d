"""How the model is laid out over GPUs, and the limits of its engine, by vLLM's names."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.autoscaling import AutoscalingSection
from sim.scenario.expert_imbalance import ExpertImbalanceSection
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
    decode_context_parallel_size: Count = 1
    """Tensor-parallel GPUs that divide each sequence's cache by token; must divide tensor_parallel_size."""
    prefill_context_parallel_size: Count = 1
    """Groups of tensor-parallel GPUs that divide each prompt chunk; multiplies the GPUs, not the cache."""
    enable_expert_parallel: bool = False
    """Whole experts per GPU over tensor x data ranks, instead of a slice of each expert."""
    expert_parallel_size: Count | None = None
    """GPU groups that hold whole experts, each expert sliced over its group; without it, tensor x data ranks."""
    redundant_experts: CountOrZero = 0
    """Extra expert copies, so that experts divide the ranks, or for the load balancer (vLLM: num_redundant_experts)."""


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
    gpu_memory_utilization: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] | None = None
    """Share of the GPU memory that the engine may use (SGLang's `--mem-fraction-static`); without it, its own rule."""
    kv_cache_dtype: Literal["auto", "bf16", "fp8", "fp8_flat", "fp8_ds_mla"] = "auto"
    """Cache layout; `auto` is the engine's default for the model."""
    indexer_policy: Literal["auto", "owners", "all_layers"] = "auto"
    """Layers that get an indexer cache: those that own an indexer, or all; `auto` is the engine's default."""
    max_model_len: Annotated[int, Field(strict=True, ge=1, le=100_000_000)] | None = None
    """Longest request (input plus output tokens); without it, what the model admits."""
    runtime_reserve_gib: Annotated[float, Field(strict=True, ge=0.0, le=1000.0)] | None = None
    """Memory per GPU for activations, graphs and buffers; without it, the engine's default for the layout."""
    calibration: Annotated[str, Field(min_length=1)] | None = None
    """File of `sim calibrate` with engine constants measured elsewhere; keys given here go before it."""
    step_times: Annotated[str, Field(min_length=1)] | None = None
    """CSV of measured step times that take the place of the built-in law of kernels."""
    step_times_scope: Literal["step", "kernels"] = "step"
    """What its seconds hold: whole steps as served, or sums of kernels to which the engine's host times are added."""
    host_overhead_ms: Annotated[float, Field(strict=True, ge=0.0, le=10_000.0)] | None = None
    """Host time per step that no kernel covers; without it, the engine's default."""
    prefill_overhead_ms: Annotated[float, Field(strict=True, ge=0.0, le=10_000.0)] | None = None
    """Further host time of a step with prompt chunks; without it, the engine's default."""
    sequence_overhead_us: Annotated[float, Field(strict=True, ge=0.0, le=1e6)] | None = None
    """Host time per sequence and step; without it, the engine's default."""
    decode_time_factor: Annotated[float, Field(strict=True, gt=0.0, le=100.0)] | None = None
    """Time of attention, projections and head in decoding over that of kernels measured alone; without it, the
    engine's default."""
    prefill_time_factor: Annotated[float, Field(strict=True, gt=0.0, le=100.0)] | None = None
    """The same for prompt chunks; without it, the engine's default."""
    expert_decode_time_factor: Annotated[float, Field(strict=True, gt=0.0, le=100.0)] | None = None
    """Time of routed experts with their traffic in decoding over that of kernels measured alone; without it, the
    engine's default."""
    expert_prefill_time_factor: Annotated[float, Field(strict=True, gt=0.0, le=100.0)] | None = None
    """The same for steps with prompt chunks; without it, the engine's default."""
    response_latency_ms: Annotated[float, Field(strict=True, ge=0.0, le=60_000.0)] | None = None
    """Between engine and client: tokenisation, HTTP and queues of the front end; without it, the engine's default."""
    scheduler: Literal["auto", "vllm", "sglang", "tensorrt-llm"] = "auto"
    """Whose rules of admission and preemption are followed; `auto` is those of the engine."""
    capacity_scheduler_policy: Literal["GUARANTEED_NO_EVICT", "MAX_UTILIZATION"] | None = None
    """TensorRT-LLM's: reserve prompt and output to the end (its default), or admit by prompt and pause the newest."""
    schedule_conservativeness: Annotated[float, Field(strict=True, ge=0.0, le=10.0)] | None = None
    """SGLang's: scales the share of the output limit that it expects requests to generate; without it, 1."""
    enable_mixed_chunk: bool = True
    """SGLang's: decode and prefill in one step; without it a step with prompts decodes nothing, as SGLang's default."""
    max_tokens: Count | None = None
    """Output limit that clients send with each request, where its own output is not longer; without it, that output."""
    kv_watermark_frac: Annotated[float, Field(strict=True, ge=0.0, le=0.9)] = 0.0
    """Share of the KV blocks that admission leaves free."""
    scheduling_policy: Literal["fcfs", "shortest_prefill", "priority"] = "fcfs"
    """Order of waiting requests; `priority`: by class, lower first, then by arrival; the last of it is preempted."""
    priority_preemption_threshold: CountOrZero | None = None
    """Waiting requests displace running ones whose priority is higher by more than this; without it, never."""
    scheduler_reserve_full_isl: bool = True
    """Admit a request only when its whole prompt fits in the cache, not just its first chunk."""
    num_speculative_tokens: Annotated[int, Field(strict=True, ge=0, le=16)] = 0
    """Tokens that the multi-token-prediction layer drafts for every decoding sequence and step; 0 is off."""
    acceptance_length: Annotated[float, Field(strict=True, ge=1.0, le=17.0)] | None = None
    """Mean tokens that a step puts out, the verified one included; without it, that of the curve."""
    acceptance_curve: Annotated[str, Field(min_length=1)] = "auto"
    """Acceptance by number of drafts (`sim catalog speculation`); `auto` is the one of the model's architecture."""
    deepep_mode: Literal["auto", "low_latency", "normal"] = "auto"
    """Dispatch to experts: `auto` is low latency for steps without prompt chunks and normal mode for others."""
    num_max_dispatch_tokens_per_rank: Count | None = None
    """Tokens per GPU that the buffers of low-latency dispatch hold; without it, the engine's default."""
    enable_two_batch_overlap: bool = False
    """Compute steps in two halves, dispatch and combine of one behind the other (vLLM: --enable-dbo)."""

    @model_validator(mode="after")
    def _budget_covers_the_batch(self) -> Self:
        verified_tokens = self.max_num_seqs * (1 + self.num_speculative_tokens)
        if self.max_num_batched_tokens < verified_tokens:
            drafts = f" times {1 + self.num_speculative_tokens} verified tokens" if self.num_speculative_tokens else ""
            raise ValueError(
                f"max_num_batched_tokens {self.max_num_batched_tokens} is below max_num_seqs {self.max_num_seqs}"
                f"{drafts}: a step could not decode all running sequences"
            )
        return self

    @model_validator(mode="after")
    def _step_times_know_no_drafts(self) -> Self:
        if self.step_times is not None and self.num_speculative_tokens:
            raise ValueError("step_times say nothing about steps that verify drafts: num_speculative_tokens must be 0")
        if self.step_times is None and self.step_times_scope != "step":
            raise ValueError("step_times_scope says what step_times hold, and there are none")
        return self

    @model_validator(mode="after")
    def _keys_of_the_scheduler(self) -> Self:
        rules = self.name if self.scheduler == "auto" else self.scheduler
        for key, owner in (("capacity_scheduler_policy", "tensorrt-llm"), ("schedule_conservativeness", "sglang")):
            if getattr(self, key) is not None and rules != owner:
                raise ValueError(f"{key} belongs to the scheduler {owner}, not to {rules}")
        if not self.enable_mixed_chunk and rules != "sglang":
            raise ValueError(f"enable_mixed_chunk: false belongs to the scheduler sglang; {rules} always mixes")
        if self.priority_preemption_threshold is not None and self.scheduling_policy != "priority":
            raise ValueError(
                "priority_preemption_threshold needs scheduling_policy: priority; "
                f"under {self.scheduling_policy} no request is more urgent than another"
            )
        if self.num_speculative_tokens and (self.scheduler not in ("auto", "vllm") or not self.enable_mixed_chunk):
            raise ValueError(
                "num_speculative_tokens is modelled under vLLM's rules alone: scheduler must be auto or vllm, and "
                "enable_mixed_chunk true"
            )
        return self

    @model_validator(mode="after")
    def _tiers_lie_below_a_cache(self) -> Self:
        if self.host_cache is not None and not self.enable_prefix_caching:
            raise ValueError("host_cache keeps what the prefix cache evicts: it needs enable_prefix_caching")
        if self.preemption_mode == "swap":
            if self.host_cache is None:
                raise ValueError(
                    "preemption_mode swap needs host_cache, the memory that preempted requests are moved to"
                )
            rules = self.name if self.scheduler == "auto" else self.scheduler
            if rules != "vllm" or self.num_speculative_tokens:
                raise ValueError(
                    "preemption_mode swap is modelled for the scheduler vllm without num_speculative_tokens; other "
                    "engines compute again"
                )
        return self

    @model_validator(mode="after")
    def _acceptance_belongs_to_drafts(self) -> Self:
        drafts, length = self.num_speculative_tokens, self.acceptance_length
        if not drafts and (length is not None or self.acceptance_curve != "auto"):
            raise ValueError("acceptance_length and acceptance_curve need num_speculative_tokens above 0")
        if length is not None and self.acceptance_curve != "auto":
            raise ValueError("acceptance_length and acceptance_curve exclude each other")
        if length is not None and length > drafts + 1:
            raise ValueError(f"acceptance_length {length} exceeds the {drafts + 1} tokens that a step verifies")
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
    autoscaling: AutoscalingSection | None = None
    """Replicas that come and go with the load; without it, `replicas` all the time."""

    @model_validator(mode="after")
    def _starts_within_bounds(self) -> Self:
        scaling = self.autoscaling
        if scaling is not None and not scaling.min_replicas <= self.replicas <= scaling.max_replicas:
            raise ValueError(
                f"replicas {self.replicas} must be between autoscaling.min_replicas {scaling.min_replicas} and "
                f"autoscaling.max_replicas {scaling.max_replicas}"
            )
        return self

    @model_validator(mode="after")
    def _steps_without_decodes(self) -> Self:
        layout = self.layout
        if not self.engine.enable_mixed_chunk and layout.data_parallel_size * layout.pipeline_parallel_size > 1:
            raise ValueError(
                "engine.enable_mixed_chunk: false is modelled for one attention rank and one pipeline stage, not for "
                f"data_parallel_size {layout.data_parallel_size} and "
                f"pipeline_parallel_size {layout.pipeline_parallel_size}"
            )
        return self

    @model_validator(mode="after")
    def _the_pool_lies_below_a_cache(self) -> Self:
        if self.remote_cache is not None and not self.engine.enable_prefix_caching:
            raise ValueError("remote_cache keeps what prefix caches evict: it needs engine.enable_prefix_caching")
        return self
