"""Exact counters of a run: what the identities are checked on, and what rates are made of."""

from __future__ import annotations

from dataclasses import dataclass

from sim.engine.counters import Counters


@dataclass(slots=True)
class Totals(Counters):
    """Counters and integrals since the start of the run; a window is the difference of two copies.

    Attributes
    ----------
    arrived, completed, failed, refused, abandoned : requests by fate.
    good : completed requests that met every service-level limit.
    attempts, retries, timeouts, killed : attempts sent, repeated, given up by the client, lost to a fault.
    migrated, migrated_tokens : of the attempts lost to a fault, those that went on elsewhere, and the tokens (prompt
        and output so far) that they ask for there.
    misrouted : attempts sent to a replica that was down without the router knowing.
    retries_denied : retries that clients had no budget for.
    throttled : attempts turned away by the limits of their tenants.
    preemptions : running requests put back for lack of KV blocks.
    steps, boundaries : engine steps, and events that covered them.
    emitted_tokens : output tokens sampled; delivered in completed requests; lost with killed or given-up attempts.
    good_tokens, good_input_tokens : output and prompt tokens of good requests.
    prefilled_tokens : prompt tokens computed; kept by completed requests; wasted by preemption, faults and timeouts.
        What a prefix cache spared is in none of them.
    recompute_tokens : tokens that preempted requests must compute again; with a prefix cache, what is left of them
        when they are admitted again (so equal to `recompute_preempted_tokens`).
    admitted_prompt_tokens : prompt tokens of admissions, preempted output included, under prefix caching.
    cached_prompt_tokens : of these, found in the prefix cache; the others are computed, unless the request is stopped
        first: `forgone_prompt_tokens`.
    fetched_tokens : tokens that came over a link instead.
    host_tokens, remote_tokens : of these, from host memory (swapped-out requests included) and from the remote pool.
    host_written_tokens, remote_written_tokens, unwritten_tokens : evicted tokens written to host memory, and to the
        remote pool, and those given up because too much was queued.
    swapped_tokens : tokens of preempted requests moved to host memory.
    evicted_tokens : cached tokens that had to make room.
    recompute_preempted_tokens, recompute_failed_tokens, recompute_withdrawn_tokens : prompt tokens computed again
        because of a preemption, a fault, a timeout: of what the same request had stored earlier, what it did not find.
    recompute_evicted_tokens, recompute_elsewhere_tokens, recompute_broken_tokens : of what the last completed request
        of the same session had stored: asked for again and evicted meanwhile; asked for at another rank; not continued
        by this prompt. What a fault took of it counts under `recompute_failed_tokens`.
    input_tokens_completed : prompt tokens of completed requests.
    busy_s, idle_s, hung_s, paused_s, down_s, off_s : replica-seconds stepping, up with nothing to do, hung, resting
        because of a pause, out of service, and not provisioned. They add up to replicas x time.
    billed_s : replica-seconds paid for: all, unless an autoscaler gives replicas back.
    prefill_step_s : the part of `busy_s` spent in steps that compute prompt tokens.
    bubble_s : the part of `busy_s` in finished steps that a pipeline stage stands idle, in the mean over stages and
        ranks: empty and smaller microbatches, filling and draining; with data-parallel ranks also what a rank waits for
        the slowest. Zero without stages.
    sequence_s : decoding sequences x seconds; kv_token_s : cached tokens x seconds; waiting_s : requests in queues of
        replicas x seconds. All are exact integrals over time, so a mean is their share of the window.
    """

    arrived: int = 0
    completed: int = 0
    failed: int = 0
    refused: int = 0
    abandoned: int = 0
    good: int = 0
    attempts: int = 0
    retries: int = 0
    timeouts: int = 0
    killed: int = 0
    migrated: int = 0
    migrated_tokens: int = 0
    retries_denied: int = 0
    misrouted: int = 0
    throttled: int = 0
    preemptions: int = 0
    steps: int = 0
    boundaries: int = 0
    emitted_tokens: int = 0
    delivered_tokens: int = 0
    lost_tokens: int = 0
    good_tokens: int = 0
    good_input_tokens: int = 0
    prefilled_tokens: int = 0
    kept_prefill_tokens: int = 0
    wasted_prefill_tokens: int = 0
    recompute_tokens: int = 0
    admitted_prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    forgone_prompt_tokens: int = 0
    fetched_tokens: int = 0
    host_tokens: int = 0
    remote_tokens: int = 0
    host_written_tokens: int = 0
    remote_written_tokens: int = 0
    unwritten_tokens: int = 0
    swapped_tokens: int = 0
    evicted_tokens: int = 0
    recompute_preempted_tokens: int = 0
    recompute_failed_tokens: int = 0
    recompute_withdrawn_tokens: int = 0
    recompute_evicted_tokens: int = 0
    recompute_elsewhere_tokens: int = 0
    recompute_broken_tokens: int = 0
    input_tokens_completed: int = 0
    busy_s: float = 0.0
    idle_s: float = 0.0
    hung_s: float = 0.0
    paused_s: float = 0.0
    down_s: float = 0.0
    off_s: float = 0.0
    billed_s: float = 0.0
    prefill_step_s: float = 0.0
    bubble_s: float = 0.0
    sequence_s: float = 0.0
    kv_token_s: float = 0.0
    waiting_s: float = 0.0
