"""Rates of tokens, and conversions between rates, volumes and dollars per million."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from sim.errors import ScenarioError
from sim.units import HOUR_S, MILLION, MONTH_H, YEAR_H


@dataclass(frozen=True, slots=True)
class TokenRates:
    """Tokens per second that a service delivers within its service level, by how they are billed.

    Attributes
    ----------
    output_per_s : generated tokens, reasoning included.
    uncached_input_per_s : prompt tokens that were computed.
    cached_input_per_s : prompt tokens found in a prefix cache.

    Raises
    ------
    ScenarioError : a rate is negative or not finite.
    """

    output_per_s: float
    uncached_input_per_s: float = 0.0
    cached_input_per_s: float = 0.0

    def __post_init__(self) -> None:
        for key in ("output_per_s", "uncached_input_per_s", "cached_input_per_s"):
            if not 0 <= getattr(self, key) < inf:
                raise ScenarioError("out of range", key=key, value=getattr(self, key), valid="at least 0, finite")

    @property
    def total_per_s(self) -> float:
        """All tokens: output, uncached and cached input."""
        return self.output_per_s + self.uncached_input_per_s + self.cached_input_per_s


def mtok_per_month(tokens_per_s: float) -> float:
    """Millions of tokens in a month of 730 hours."""
    return tokens_per_s * HOUR_S * MONTH_H / MILLION


def mtok_per_year(tokens_per_s: float) -> float:
    """Millions of tokens in a year of 8760 hours."""
    return tokens_per_s * HOUR_S * YEAR_H / MILLION


def usd_per_month(usd_per_year: float) -> float:
    """Dollars in a month of 730 hours."""
    return usd_per_year * MONTH_H / YEAR_H


def usd_per_gpu_hour(usd_per_year: float, gpus: int) -> float:
    """Dollars for each GPU and hour of a year."""
    return usd_per_year / (gpus * YEAR_H)


def effective_usd_per_mtok(usd_per_year: float, tokens_per_s: float) -> float | None:
    """What a million delivered tokens cost when everything reserved is paid for; None when nothing is delivered.

    This is the cost to decide on: it falls with utilisation, which the cost of `sim.cost.marginal` does not show.

    Checked: 10.2876 at 564,510.01 a year and 40 % of 4,350 tokens per second, 5.1438 at 80 %; 0.2657 for the published
    LMSYS deployment of 12 nodes with its prefill nodes paid.
    """
    mtok = mtok_per_year(tokens_per_s)
    return usd_per_year / mtok if mtok > 0 else None
