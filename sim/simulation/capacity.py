"""What one replica can carry at most, before anything is simulated.

A bound, not a prediction: every seat is always taken, every rank prefills whenever another does, and nothing waits. It
serves to refuse loads that no simulation needs to be run for, and to say how many replicas would carry them. The
throughput inside a service level comes from the simulation alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from sim.engine.plan import ClusterPlan
from sim.simulation.infeasible import Infeasible
from sim.steptime.law import StepLaw

HOPELESS = 1.2  # offered load over the bound from which simulating would only show a queue that grows


@dataclass(frozen=True, slots=True)
class CapacityBound:
    """Upper bound of one replica's throughput for a mean request.

    Attributes
    ----------
    requests_rps : requests per second and replica.
    seqs_per_rank : sequences decoding per rank at that point, bounded by seats and KV.
    """

    requests_rps: float
    seqs_per_rank: int


def capacity_bound(
    law: StepLaw, cluster: ClusterPlan, mean_input_tokens: float, mean_output_tokens: float
) -> CapacityBound:
    """Bound for requests of the mean lengths; KV holds the prompt and half the output on average.

    The seconds a request costs are its share of the decode steps at the largest batch, plus what its prompt adds to the
    steps that compute it, both shared by all ranks and microbatches.
    """
    limits = cluster.limits
    lanes = limits.data_parallel_size * limits.pipeline_parallel_size
    held_tokens = mean_input_tokens + 0.5 * mean_output_tokens
    by_kv = limits.num_kv_blocks * limits.block_size / held_tokens
    seqs_per_rank = max(1, min(limits.max_num_seqs, int(by_kv)))
    seqs = max(1, seqs_per_rank // limits.pipeline_parallel_size)
    context = round(seqs * held_tokens)
    cap = law.attention_cap_tokens
    capped = min(context, seqs * cap) if cap else 0
    above = bool(cap) and held_tokens >= cap
    ranks = limits.data_parallel_size
    decode_s = law.mixed_s(seqs, context, capped, above, ()) + law.shared_s(seqs * ranks, seqs, prefill=False)
    chunk = max(1, min(round(mean_input_tokens), limits.max_num_batched_tokens - seqs))
    mixed_s = law.mixed_s(seqs, context, capped, above, ((chunk, 0),))
    mixed_s += law.shared_s((seqs + chunk) * ranks, seqs + chunk, prefill=True)
    chunks = mean_input_tokens / chunk
    request_s = (mean_output_tokens * decode_s / seqs + chunks * max(0.0, mixed_s - decode_s)) / lanes
    return CapacityBound(1.0 / request_s, seqs_per_rank)


def hopeless(bound: CapacityBound, rate_rps: float | None, replicas: int) -> Infeasible | None:
    """The named result for a load that no scheduling could carry, or None."""
    if rate_rps is None:
        return None
    carried = bound.requests_rps * replicas
    if rate_rps <= HOPELESS * carried:
        return None
    needed = ceil(rate_rps / bound.requests_rps)
    return Infeasible(
        "over_capacity",
        f"The offered load of {rate_rps:.3g} requests/s is above capacity: {replicas} replica(s) carry at most "
        f"{carried:.3g} requests/s of this mix, even with every seat taken.",
        f"At least {needed} replicas are needed, more to keep a service level; or at most {carried:.3g} requests/s.",
        {"offered_rps": rate_rps, "capacity_bound_rps": carried, "replicas_needed": float(needed)},
    )
