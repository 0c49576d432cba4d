"""What one replication did between the end of the warm-up and the end of the run."""

from __future__ import annotations

from dataclasses import dataclass

from sim.engine.cluster import Outcome
from sim.engine.plan import ClusterPlan
from sim.engine.totals import Totals


@dataclass(frozen=True, slots=True)
class Window:
    """Counters of the measured window, and what was there to count on.

    Attributes
    ----------
    totals : counters of the window.
    seconds : its length.
    unfinished : requests still in the system at its end.
    replicas, gpus : in service.
    kv_tokens : tokens that the cache of one replica holds; their mean where there are two pools.
    tiers : whether there are KV tiers below the GPU.
    scales : whether replicas come and go; `replicas` and `gpus` are then the most there may be.
    """

    totals: Totals
    seconds: float
    unfinished: int
    replicas: int
    gpus: int
    kv_tokens: float
    tiers: bool = False
    scales: bool = False

    @classmethod
    def of(cls, outcome: Outcome, plan: ClusterPlan, gpus: int) -> Window:
        """The measured window of an outcome."""
        record = outcome.record
        limits = plan.limits
        kv_tokens: float = limits.num_kv_blocks * limits.block_size * limits.data_parallel_size
        replicas = plan.replicas
        if plan.decode is not None:
            other = plan.decode.limits
            decode_kv_tokens = other.num_kv_blocks * other.block_size * other.data_parallel_size
            replicas += plan.decode.replicas
            kv_tokens = (kv_tokens * plan.replicas + decode_kv_tokens * plan.decode.replicas) / replicas
        if record.measuring and record.warmup_s > 0.0:
            totals, seconds = record.totals.since(record.opened), outcome.end_s - record.warmup_s
        else:  # no warm-up, or the load ran out before it was over
            totals, seconds = record.totals.copy(), outcome.end_s
        tiers = plan.host is not None or plan.remote is not None
        scales = plan.autoscaler is not None
        return cls(totals, max(0.0, seconds), outcome.unfinished, replicas, gpus, kv_tokens, tiers, scales)

    @property
    def ended(self) -> int:
        """Requests that came to an end in the window, well or not."""
        totals = self.totals
        return totals.completed + totals.failed + totals.refused + totals.abandoned
