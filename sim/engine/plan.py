"""What the engine is given: plain slotted records, resolved from the scenario before the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from sim.engine.tier_plan import HostPlan, RemotePlan
from sim.faults.transition import Transition

if TYPE_CHECKING:
    from sim.engine.pools import DecodePool

SchedulingPolicy = Literal["fcfs", "shortest_prefill", "priority"]
Scheduler = Literal["vllm", "sglang", "tensorrt-llm"]
AutoscalerMetric = Literal["outstanding", "waiting"]
InFlight = Literal["fail", "retry", "migrate"]
CapacityPolicy = Literal["GUARANTEED_NO_EVICT", "MAX_UTILIZATION"]
RouterPolicy = Literal[
    "round_robin", "least_outstanding", "power_of_two", "prefix_affinity", "prefix_hash", "session_sticky"
]


@dataclass(frozen=True, slots=True)
class NewTokenRatio:
    """SGLang's estimate of the share of `max_tokens` that requests will still generate.

    Attributes
    ----------
    initial, minimum : ratio at the start, and the least to which it falls.
    decay : fall per step that only decodes.
    clip_tokens : most tokens that are expected of one request.
    retract_steps : steps that the batch is to go on after a retraction, in the ratio that follows it.
    """

    initial: float
    minimum: float
    decay: float
    clip_tokens: int
    retract_steps: int


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Limits of one replica's engine, by vLLM's names.

    Attributes
    ----------
    max_num_seqs : sequences running per attention rank.
    max_num_batched_tokens : tokens per step and batch.
    block_size : tokens per KV block.
    num_kv_blocks : blocks per attention rank.
    max_model_len : longest request (input plus output tokens) that the engine accepts.
    data_parallel_size : attention ranks in lockstep.
    pipeline_parallel_size : microbatches per rank.
    scheduler_reserve_full_isl : admit a request only when its whole prompt fits beside what prompts under way still
        need, not just its first chunk. Without it, a cache full of half-computed prompts preempts itself over and over.
    enable_prefix_caching : keep the KV of requests that have left, for others with the same leading tokens.
    num_speculative_tokens : tokens drafted for every decoding sequence and step, which verifies one more.
    acceptance_length : mean tokens that such a step puts out, 1 to `num_speculative_tokens` + 1.
    affinity_guard : requests that a rank may have more than the least loaded one and still be chosen for its cache.
    scheduler : whose rules of admission and preemption are followed.
    capacity_scheduler_policy : which of TensorRT-LLM's; for that scheduler only.
    new_token_ratio : for SGLang's scheduler, which needs it.
    enable_mixed_chunk : decode and compute prompts in one step; else a step with prompts decodes nothing (SGLang's
        default), for one rank and one pipeline stage.
    max_tokens : output limit that clients send with every request, as far as its own output is not longer; 0 for the
        length of the output itself.
    kv_watermark_frac : share of the blocks that admission leaves free, unless nobody runs.
    priority_preemption_threshold : a waiting request may displace running ones whose priority is more than this above
        its own; None for never. Needs the policy `priority`.
    """

    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int
    num_kv_blocks: int
    max_model_len: int
    data_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    scheduling_policy: SchedulingPolicy = "fcfs"
    scheduler_reserve_full_isl: bool = False
    enable_prefix_caching: bool = False
    affinity_guard: int = 8
    num_speculative_tokens: int = 0
    acceptance_length: Fraction = Fraction(1)
    scheduler: Scheduler = "vllm"
    capacity_scheduler_policy: CapacityPolicy = "GUARANTEED_NO_EVICT"
    new_token_ratio: NewTokenRatio | None = None
    enable_mixed_chunk: bool = True
    max_tokens: int = 0
    kv_watermark_frac: float = 0.0
    priority_preemption_threshold: int | None = None

    @property
    def verified_tokens(self) -> int:
        """Tokens that a step computes for every decoding sequence: its last one and the drafts."""
        return 1 + self.num_speculative_tokens

    @property
    def longest_request_tokens(self) -> int:
        """Longest admissible request: its last token is sampled but never cached, hence the one token more.

        With drafts there must be room for those of the last step, and for those verified beyond its end.
        """
        room_tokens = self.num_kv_blocks * self.block_size + 1 - 2 * self.num_speculative_tokens
        return min(self.max_model_len, room_tokens)


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """What clients do when an attempt fails or takes too long.

    Attributes
    ----------
    max_retries : attempts after the first.
    retry_backoff_s, retry_backoff_factor : wait before the first retry, and its growth per retry.
    retry_backoff_max_s : longest wait; retry_jitter_frac : share by which waits vary up and down, uniformly.
    retry_budget_frac : retries that clients have for each request, all together, beside `retry_budget_burst` that may
        come at once; None for as many as they like.
    request_timeout_s : patience with one attempt.
    failure_pause_s : least pause of a closed loop's caller after a request that did not complete; above zero.
    response_latency_s : between engine and client, on the first token and on the last; a caller of a closed loop and a
        session go on so much later.
    """

    max_retries: int = 5
    retry_backoff_s: float = 0.05
    retry_backoff_factor: float = 1.5
    request_timeout_s: float = 600.0
    failure_pause_s: float = 1.0
    response_latency_s: float = 0.0
    retry_backoff_max_s: float = float("inf")
    retry_jitter_frac: float = 0.0
    retry_budget_frac: float | None = None
    retry_budget_burst: float = 10.0


@dataclass(frozen=True, slots=True)
class HealthPlan:
    """How the router finds out that a replica is down, or up again.

    Attributes
    ----------
    check_interval_s : from one health check of a replica to the next.
    failures, window_s : attempts that fail within so many seconds before nothing more is sent.
    cooldown_s : from then until attempts are let through again.
    successes : attempts that must then succeed before failures are counted anew.
    """

    check_interval_s: float = 60.0
    failures: int = 5
    window_s: float = 60.0
    cooldown_s: float = 30.0
    successes: int = 2


@dataclass(frozen=True, slots=True)
class AutoscalerPlan:
    """When replicas come and go.

    Attributes
    ----------
    min_replicas, max_replicas, initial_replicas : bounds, and how many there are at the start.
    metric, target : what is looked at (unfinished requests, or those in queues), and how much of it each replica is
        to have.
    interval_s : between two looks.
    provision_s, success_prob : until a request for nodes is answered, and how likely it is granted; it is repeated
        until it is.
    restart_s : from the nodes to the first request.
    scale_up_cooldown_s, scale_down_cooldown_s : least time between two steps up, and from any step to one down.
    """

    min_replicas: int
    max_replicas: int
    initial_replicas: int
    target: float
    metric: AutoscalerMetric = "outstanding"
    interval_s: float = 15.0
    provision_s: float = 900.0
    success_prob: float = 1.0
    restart_s: float = 330.0
    scale_up_cooldown_s: float = 0.0
    scale_down_cooldown_s: float = 300.0


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """Limits that make a completed request a good one; infinite where not asked for."""

    ttft_s: float = float("inf")
    tpot_s: float = float("inf")
    e2el_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class TenantLimit:
    """Limits of one tenant.

    Attributes
    ----------
    tenant : its index, or None for every tenant that is not named, each on its own.
    max_concurrent_requests : attempts inside the cluster at a time.
    rate_rps, burst : attempts per second in the long run, and how many may come at once.
    tokens_per_min : prompt and output tokens of the attempts let in, per minute in the long run; as many may come at
        once. A request of more tokens than that passes when the bucket is full, and leaves it in debt.
    """

    tenant: int | None
    max_concurrent_requests: float = float("inf")
    rate_rps: float = float("inf")
    burst: float = 1.0
    tokens_per_min: float = float("inf")


@dataclass(frozen=True, slots=True)
class PrefixHash:
    """Consistent hashing of prompts with bounded loads.

    Attributes
    ----------
    tokens : leading tokens of the prompt that are hashed.
    load_factor : most unfinished requests of a replica, over the mean, for it to be chosen.
    """

    tokens: int = 256
    load_factor: float = 1.25


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Everything about one run but the workload and the step law.

    With a `decode` pool, `limits`, `replicas` and `nodes_per_replica` are those of the replicas that prefill.

    Attributes
    ----------
    transitions : what happens to replicas, decided beforehand (`sim.faults`).
    in_flight : what becomes of a request that a fault takes: it fails, its client tries again from the prompt, or the
        router sends it on with its output so far.
    health : how the router finds out about replicas; None where it knows at once.
    bin_s : above zero, the course of the run is kept in bins of that width, a whole number of which make the horizon.
    autoscaler : when replicas come and go; `replicas` is then the most that there may be. For replicas that do both.
    """

    limits: EngineLimits
    replicas: int
    nodes_per_replica: int
    horizon_s: float
    warmup_s: float = 0.0
    router: RouterPolicy = "least_outstanding"
    client: ClientPolicy = field(default_factory=ClientPolicy)
    slo: ServiceLevel = field(default_factory=ServiceLevel)
    max_requests: int | None = None
    record_requests: bool = False
    coalesce: bool = True
    tenant_limits: tuple[TenantLimit, ...] = ()
    prefix_hash: PrefixHash = field(default_factory=PrefixHash)
    host: HostPlan | None = None
    remote: RemotePlan | None = None
    decode: DecodePool | None = None
    transitions: tuple[Transition, ...] = ()
    in_flight: InFlight = "retry"
    health: HealthPlan | None = None
    bin_s: float = 0.0
    autoscaler: AutoscalerPlan | None = None

    @property
    def longest_request_tokens(self) -> int:
        """Longest request that can be served: both pools must hold it."""
        longest = self.limits.longest_request_tokens
        return longest if self.decode is None else min(longest, self.decode.limits.longest_request_tokens)
