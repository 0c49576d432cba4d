"""A plain load, drawn to see what a provider's rate limits make of it."""

from __future__ import annotations

import numpy as np

from sim.errors import ScenarioError
from sim.faults.provider_limits import RateLimits, Refused, refused
from sim.stats.estimate import Estimate
from sim.stats.mean import mean_interval
from sim.streams import Streams

HOURS = 24
LENGTH_CV = 1.0


def refused_share(
    limits: RateLimits,
    *,
    rate_rps: float,
    input_tokens: float,
    output_tokens: float,
    replications: int,
    seed: int,
    length_cv: float = LENGTH_CV,
) -> tuple[Estimate, Estimate, dict[str, Estimate]]:
    """Share of requests and of output tokens refused on a day of Poisson arrivals, and of requests by limit.

    Parameters
    ----------
    rate_rps : requests per second.
    input_tokens, output_tokens : means; lognormal lengths with a coefficient of variation of `length_cv`.
    replications : days, independent.

    Raises
    ------
    ScenarioError : a rate or a length that is not above zero.
    """
    for key, value in (("rate_rps", rate_rps), ("input_tokens", input_tokens), ("output_tokens", output_tokens)):
        if not 0.0 < value < float("inf"):
            raise ScenarioError("must be a positive number", key=key, value=value, valid="> 0")
    span_s = min(HOURS * 3600.0, 2e5 / rate_rps)  # enough for a share to a tenth of a point
    days = [
        _one(limits, rate_rps, (input_tokens, output_tokens), length_cv, span_s, Streams(seed, index))
        for index in range(replications)
    ]
    by_limit = {name: mean_interval([day.by_limit[name] for day in days]) for name in days[0].by_limit}
    return mean_interval([d.requests_frac for d in days]), mean_interval([d.output_tokens_frac for d in days]), by_limit


def _one(
    limits: RateLimits,
    rate_rps: float,
    means: tuple[float, float],
    cv: float,
    span_s: float,
    streams: Streams,
) -> Refused:
    arrivals = streams.generator("rate_limits.arrivals")
    count = int(arrivals.poisson(rate_rps * span_s))
    at_s = np.sort(arrivals.random(count)) * span_s
    sigma = float(np.sqrt(np.log1p(cv**2)))
    lengths = [
        np.ceil(mean * np.exp(sigma * streams.generator(f"rate_limits.{name}").standard_normal(count) - sigma**2 / 2))
        for name, mean in zip(("input", "output"), means, strict=True)
    ]
    return refused(limits, at_s.tolist(), lengths[0].tolist(), lengths[1].tolist())
