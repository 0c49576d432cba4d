"""A provider's rate limits, and what share of a load they turn away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.faults.token_bucket import Bucket
from sim.units import MINUTE_S


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Token buckets of one organisation, each as large as `burst_min` minutes of its rate; None for no limit.

    Attributes
    ----------
    requests_per_min, input_tokens_per_min, output_tokens_per_min : rates.
    burst_min : size of the buckets in minutes; providers do not publish it, a minute is the unit they meter in.
    """

    requests_per_min: float | None = None
    input_tokens_per_min: float | None = None
    output_tokens_per_min: float | None = None
    burst_min: float = 1.0


@dataclass(frozen=True, slots=True)
class Refused:
    """What was turned away.

    Attributes
    ----------
    requests_frac, output_tokens_frac : share of the requests and of their output tokens.
    by_limit : share of requests refused by each limit; a request is booked on the first that refuses it.
    """

    requests_frac: float
    output_tokens_frac: float
    by_limit: dict[str, float]


def refused(
    limits: RateLimits, arrival_s: Sequence[float], input_tokens: Sequence[float], output_tokens: Sequence[float]
) -> Refused:
    """Share of a load that is turned away (HTTP 429) when nothing is tried again.

    A request takes one from each bucket at its arrival, output tokens as if their number were known (`max_tokens`), and
    is refused, taking nothing, if one of them does not cover it. A request larger than a bucket needs it full.

    Parameters
    ----------
    arrival_s : never decreasing.
    input_tokens, output_tokens : of each request.

    Sources
    -------
    With a bucket of one request and Poisson arrivals it is Erlang's loss system with one server, a / (1 + a);
    checked in `tests/unit/test_providers.py`.
    """
    rates = (
        ("requests", limits.requests_per_min),
        ("input tokens", limits.input_tokens_per_min),
        ("output tokens", limits.output_tokens_per_min),
    )
    buckets = [
        (name, index, Bucket(rate / MINUTE_S, max(1.0, rate * limits.burst_min)))
        for index, (name, rate) in enumerate(rates)
        if rate is not None
    ]
    turned = {name: 0 for name, _, _ in buckets}
    tokens_lost = 0.0
    for at_s, prompt, output in zip(arrival_s, input_tokens, output_tokens, strict=True):
        amounts = (1.0, prompt, output)
        for name, index, bucket in buckets:
            if not bucket.covers(amounts[index], at_s):
                turned[name] += 1
                tokens_lost += output
                break
        else:
            for _, index, bucket in buckets:
                bucket.take(amounts[index])
    count, total = len(arrival_s), float(sum(output_tokens))
    return Refused(
        sum(turned.values()) / count if count else 0.0,
        tokens_lost / total if total else 0.0,
        {name: refusals / count if count else 0.0 for name, refusals in turned.items()},
    )
