"""What one replica can carry at most, before anything is simulated.

A bound, not a prediction: every seat is always taken, prompts fill the token budget of the steps that compute them,
every rank prefills whenever another does, and nothing waits. It serves to refuse loads that no simulation needs to be
run for, and to say how many replicas would carry them. The throughput inside a service level comes from the simulation
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

from sim.engine.plan import ClusterPlan, EngineLimits
from sim.simulation.infeasible import Infeasible
from sim.steptime.law import DraftingLaw, StepLaw

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
    steps that compute it, both shared by all ranks and microbatches; and never less than its share of steps that do
    nothing but prefill.
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
    verified = seqs * limits.verified_tokens
    decode_s = law.mixed_s(seqs, context, capped, above, ()) + law.shared_s(verified * ranks, verified, prefill=False)
    drafts_s = law.drafts_s(seqs * ranks, seqs) if isinstance(law, DraftingLaw) else 0.0
    decode_s += drafts_s
    room_tokens = limits.max_num_batched_tokens - verified
    prompts = _prompts(round(mean_input_tokens), min(room_tokens, seqs * mean_input_tokens))
    tokens = sum(new for new, _ in prompts)
    mixed_s = law.mixed_s(seqs, context, capped, above, prompts)
    mixed_s += law.shared_s((verified + tokens) * ranks, verified + tokens, prefill=True) + drafts_s
    prefill_s = law.mixed_s(0, 0, 0, any_above=False, prefills=prompts)
    prefill_s += law.shared_s(tokens * ranks, tokens, prefill=True)
    steps = mean_input_tokens / tokens
    decode_steps = max(0.0, mean_output_tokens - 1.0) / float(limits.acceptance_length)
    decoding_s = decode_steps * decode_s / seqs  # the first token comes out of the prefill
    request_s = max(decoding_s + steps * max(0.0, mixed_s - decode_s), steps * prefill_s) / lanes
    return CapacityBound(1.0 / request_s, seqs_per_rank)


def prefill_bound(law: StepLaw, limits: EngineLimits, mean_input_tokens: float) -> CapacityBound:
    """Bound of a replica that only prefills: every step's budget is full of prompts on every rank and microbatch."""
    prompts = _prompts(round(mean_input_tokens), limits.max_num_batched_tokens)
    tokens = sum(new for new, _ in prompts)
    step_s = law.mixed_s(0, 0, 0, any_above=False, prefills=prompts)
    step_s += law.shared_s(tokens * limits.data_parallel_size, tokens, prefill=True)
    lanes = limits.data_parallel_size * limits.pipeline_parallel_size
    return CapacityBound(lanes * tokens / (mean_input_tokens * step_s), min(limits.max_num_seqs, len(prompts)))


def decode_bound(
    law: StepLaw, limits: EngineLimits, mean_input_tokens: float, mean_output_tokens: float
) -> CapacityBound:
    """Bound of a replica that only decodes: every seat that seats and KV allow is always taken."""
    held_tokens = mean_input_tokens + 0.5 * mean_output_tokens
    by_kv = int(limits.num_kv_blocks * limits.block_size / held_tokens)
    seqs_per_rank = max(1, min(limits.max_num_seqs, by_kv))
    seqs = max(1, seqs_per_rank // limits.pipeline_parallel_size)
    context, cap = round(seqs * held_tokens), law.attention_cap_tokens
    capped = min(context, seqs * cap) if cap else 0
    step_s = law.mixed_s(seqs, context, capped, bool(cap) and held_tokens >= cap, ())
    step_s += law.shared_s(seqs * limits.data_parallel_size, seqs, prefill=False)
    lanes = limits.data_parallel_size * limits.pipeline_parallel_size
    steps = mean_output_tokens - 1.0  # the first token comes out of the prefill
    return CapacityBound(lanes * seqs / (steps * step_s) if steps > 0.0 else inf, seqs_per_rank)


def _prompts(each_tokens: int, budget_tokens: float) -> tuple[tuple[int, int], ...]:
    """Prompts of one step that fill its budget, the last one in part: (tokens computed, tokens before)."""
    each, budget = max(1, each_tokens), max(1, int(budget_tokens))
    whole, rest = divmod(budget, each)
    return ((each, 0),) * whole + (((rest, 0),) if rest else ())


def hopeless(bound: CapacityBound, rate_rps: float | None, replicas: int, noun: str = "replica") -> Infeasible | None:
    """The named result for a load that no scheduling could carry, or None; `noun` says of which replicas."""
    if rate_rps is None:
        return None
    carried = bound.requests_rps * replicas
    if rate_rps <= HOPELESS * carried:
        return None
    needed = ceil(rate_rps / bound.requests_rps)
    return Infeasible(
        "over_capacity",
        f"The offered load of {rate_rps:.3g} admitted requests/s is above capacity: {replicas} {noun}"
        f"{'s carry' if replicas > 1 else ' carries'} at most {carried:.3g} requests/s of this mix, even with every "
        "seat taken.",
        f"No fewer than {needed} {noun}s could carry it, by that bound; or at most {carried:.3g} requests/s.",
        {"offered_rps": rate_rps, "capacity_bound_rps": carried, "replicas_needed": float(needed)},
    )
