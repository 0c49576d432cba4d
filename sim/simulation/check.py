"""Everything that can be said about a scenario without simulating it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from math import inf

import numpy as np

from sim.scenario.scenario import Scenario
from sim.simulation.build import Built, build
from sim.simulation.capacity import CapacityBound, capacity_bound, decode_bound, hopeless, prefill_bound
from sim.simulation.infeasible import Infeasible
from sim.simulation.memory import Planned, misfit
from sim.simulation.roles import roles_of
from sim.streams import Streams
from sim.workload.arrivals.recorded_clients import RecordedClients
from sim.workload.arrivals.replay import TraceArrivals
from sim.workload.mix import Mix
from sim.workload.workload import Workload

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
    decode_planned, decode_bound : the same of the decode pool, where `planned` and `bound` are those of the prefill
        pool; None where replicas do both.
    too_long_frac : share of requests longer than the engine admits; they will be refused.
    """

    planned: Planned
    built: Built | None
    infeasible: Infeasible | None
    bound: CapacityBound | None
    too_long_frac: float
    decode_planned: Planned | None = None
    decode_bound: CapacityBound | None = None

    @property
    def longest_request_tokens(self) -> int:
        """Longest request that is admitted: both pools must hold it."""
        plans = (self.planned, self.decode_planned)
        return min(plan.longest_request_tokens for plan in plans if plan is not None)


def check(scenario: Scenario) -> Check:
    """Plan the memory, and look for what makes a run pointless.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError, TraceError : the input cannot be used.
    """
    roles = roles_of(scenario)
    planned, decode = roles[0].planned, roles[1].planned if len(roles) > 1 else None
    for role in roles:
        reason = misfit(role.scenario, role.planned)
        if reason is not None:
            if role.name:
                reason = replace(reason, problem=f"In the {role.name} pool {reason.problem}")
            return Check(planned, None, reason, None, 0.0, decode)
    built = build(scenario)
    workload = built.workload
    drawn = _lengths(built, scenario.run.seed)
    means = (workload.mean_input_tokens, workload.mean_output_tokens) if not drawn.too_long_frac else drawn.means
    bounds = _bounds(built, *means)
    rate_rps = _must_be_carried_rps(built)
    if rate_rps is not None and isinstance(workload, Mix) and drawn.too_long_frac:
        rate_rps = None  # whose requests are too long, and so what is left of the rate, is an outcome
    elif rate_rps is not None:
        rate_rps *= 1.0 - drawn.too_long_frac
    reason = _request_too_long(min((role.planned for role in roles), key=_longest), drawn)
    for role, bound in zip(roles, bounds, strict=True):
        reason = reason or hopeless(bound, rate_rps, role.replicas, role.noun)
    return Check(planned, built, reason, bounds[0], drawn.too_long_frac, decode, bounds[1] if decode else None)


def _bounds(built: Built, mean_input_tokens: float, mean_output_tokens: float) -> tuple[CapacityBound, ...]:
    """Bound of one replica of each role."""
    cluster = built.cluster
    if cluster.decode is None or built.decode_served is None:
        return (capacity_bound(built.served, cluster, mean_input_tokens, mean_output_tokens),)
    return (
        prefill_bound(built.served, cluster.limits, mean_input_tokens),
        decode_bound(built.decode_served, cluster.decode.limits, mean_input_tokens, mean_output_tokens),
    )


def _longest(planned: Planned) -> int:
    return planned.longest_request_tokens


@dataclass(frozen=True, slots=True)
class _Lengths:
    """What the first requests say.

    Attributes
    ----------
    too_long_frac : share that no engine of this plan admits.
    shortest_tokens : input and output tokens of the shortest.
    means : mean input and output tokens of those that are admitted, or of all when none is.
    """

    too_long_frac: float
    shortest_tokens: int
    means: tuple[float, float]


def _must_be_carried_rps(built: Built) -> float | None:
    """Rate that the cluster must reach: that of arrivals, but a load with an end has until the horizon.

    None for a closed loop, whose callers wait.
    """
    rate_rps, cluster = built.workload.mean_rate_rps, built.cluster
    requests = inf if cluster.max_requests is None else float(cluster.max_requests)
    arrivals = built.workload.arrivals if isinstance(built.workload, Workload) else None
    if isinstance(arrivals, TraceArrivals):
        requests = min(requests, float(len(arrivals.trace)))
    if isinstance(arrivals, RecordedClients):
        rate_rps = arrivals.rate_within_rps(cluster.horizon_s)
    return None if rate_rps is None else min(rate_rps, requests / cluster.horizon_s)


def _lengths(built: Built, seed: int) -> _Lengths:
    drawn = np.array(list(islice(built.workload.lengths_stream(Streams(seed)), LENGTH_SAMPLE)))
    totals = drawn.sum(axis=1)
    admitted = totals <= built.cluster.longest_request_tokens
    mean_input, mean_output = (drawn[admitted] if admitted.any() else drawn).mean(axis=0).tolist()
    return _Lengths(float((~admitted).mean()), int(totals.min()), (mean_input, mean_output))


def _request_too_long(planned: Planned, drawn: _Lengths) -> Infeasible | None:
    """The named result when not even the shortest request fits."""
    if drawn.too_long_frac < 1.0:
        return None
    shortest = drawn.shortest_tokens
    by_cache = planned.memory.kv_tokens_per_rank < planned.max_model_len
    limit = planned.longest_request_tokens
    why = "the KV pool of one attention rank holds" if by_cache else "the engine accepts at most"
    return Infeasible(
        "request_too_long",
        f"Every request is too long: the shortest has {shortest:,} tokens and {why} {limit:,}.",
        _what_would_admit(planned, shortest, by_cache=by_cache),
        {"shortest_request_tokens": float(shortest), "longest_admissible_tokens": float(limit)},
    )


def _what_would_admit(planned: Planned, shortest: int, *, by_cache: bool) -> str:
    if shortest > planned.spec.max_context_tokens:
        return f"Shorten requests: the context of {planned.spec.name} is {planned.spec.max_context_tokens:,} tokens."
    if by_cache:
        return (
            "Shard the cache (decode context parallelism, pipeline stages, fewer data-parallel ranks), store it in "
            "FP8, or shorten requests."
        )
    return f"Raise max_model_len to at least {shortest:,} tokens, or shorten requests."
