"""Everything that can be said about a scenario without simulating it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from sim.scenario.scenario import Scenario
from sim.simulation.build import Built, build
from sim.simulation.capacity import CapacityBound, capacity_bound, hopeless
from sim.simulation.infeasible import Infeasible
from sim.simulation.memory import Planned, misfit
from sim.simulation.memory import plan as plan_memory_of
from sim.streams import Streams

LENGTH_SAMPLE = 2000


@dataclass(frozen=True, slots=True)
class Check:
    """A scenario's memory plan, and what follows from it.

    Attributes
    ----------
    planned : model, layout, memory.
    built : the scenario resolved for the engine; None when the weights do not fit.
    infeasible : why it cannot work and the smallest that would; None when it may.
    bound : upper bound of one replica's throughput for the mean request; None when the weights do not fit.
    too_long_frac : share of requests longer than the engine admits; they will be refused.
    """

    planned: Planned
    built: Built | None
    infeasible: Infeasible | None
    bound: CapacityBound | None
    too_long_frac: float


def check(scenario: Scenario) -> Check:
    """Plan the memory, and look for what makes a run pointless.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError, TraceError : the input cannot be used.
    """
    planned = plan_memory_of(scenario)
    reason = misfit(scenario, planned)
    if reason is not None:
        return Check(planned, None, reason, None, 0.0)
    built = build(scenario)
    workload = built.workload
    too_long, shortest = _lengths(built, scenario.run.seed)
    bound = capacity_bound(built.law, built.cluster, workload.mean_input_tokens, workload.mean_output_tokens)
    reason = _request_too_long(planned, too_long, shortest) or hopeless(
        bound, workload.mean_rate_rps, scenario.deployment.replicas
    )
    return Check(planned, built, reason, bound, too_long)


def _lengths(built: Built, seed: int) -> tuple[float, int]:
    """(share of requests that no engine of this plan admits, shortest) among the first requests."""
    drawn = islice(built.workload.lengths_stream(Streams(seed)), LENGTH_SAMPLE)
    totals = np.array([input_tokens + output_tokens for input_tokens, output_tokens in drawn])
    limit = built.cluster.limits.longest_request_tokens
    return float((totals > limit).mean()), int(totals.min())


def _request_too_long(planned: Planned, too_long_frac: float, shortest: int) -> Infeasible | None:
    """The named result when not even the shortest request fits."""
    if too_long_frac < 1.0:
        return None
    by_cache = planned.memory.kv_tokens_per_rank < planned.max_model_len
    limit = planned.longest_request_tokens
    why = "the KV pool of one attention rank" if by_cache else "the longest request that the engine accepts"
    return Infeasible(
        "request_too_long",
        f"Every request is too long: the shortest has {shortest:,} tokens and {why} holds {limit:,}.",
        "Shard the cache (pipeline stages, fewer data-parallel ranks), store it in FP8, or shorten requests."
        if by_cache
        else f"Raise max_model_len to at least {shortest:,} tokens, or shorten requests.",
        {"shortest_request_tokens": float(shortest), "longest_admissible_tokens": float(limit)},
    )
