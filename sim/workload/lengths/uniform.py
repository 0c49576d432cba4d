"""Uniform lengths around a nominal one, as synthetic benchmarks draw them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.errors import ScenarioError
from sim.workload.checks import at_least_one
from sim.workload.lengths.law import Floats, LengthLaw, Tokens


@dataclass(frozen=True, slots=True)
class Uniform(LengthLaw):
    """Whole lengths from floor(low x nominal) to ceil(high x nominal), all equally likely.

    vLLM's `--random-range-ratio r` is (1 - r, 1 + r) since version 0.8.4; before, and in InferenceX's fixed-length runs
    (r = 0.8), it was (r, 1).

    Parameters
    ----------
    nominal_tokens : the length that the benchmark is named after.
    low_frac, high_frac : bounds as fractions of it.

    Raises
    ------
    ScenarioError : nominal below one, or fractions that are negative or out of order.
    """

    nominal_tokens: int
    low_frac: float
    high_frac: float = 1.0

    def __post_init__(self) -> None:
        at_least_one("nominal_tokens", self.nominal_tokens)
        if not (0 <= self.low_frac <= self.high_frac < math.inf and self.high_frac > 0):
            raise ScenarioError(
                "is out of order", key="low_frac", value=(self.low_frac, self.high_frac), valid="0 <= low <= high"
            )

    @classmethod
    def between(cls, min_tokens: int, max_tokens: int) -> Uniform:
        """Whole lengths from `min_tokens` to `max_tokens`, both possible.

        Raises
        ------
        ScenarioError : a bound below one, or bounds out of order.
        """
        at_least_one("min_tokens", min_tokens)
        if max_tokens < min_tokens:
            raise ScenarioError("is below min_tokens", key="max_tokens", value=max_tokens)
        return cls(max_tokens, min_tokens / max_tokens)

    @property
    def bounds_tokens(self) -> tuple[int, int]:
        """Shortest and longest length, both possible; products within 1e-9 of a whole number count as it."""
        low = math.floor(self.nominal_tokens * self.low_frac + 1e-9)
        high = math.ceil(self.nominal_tokens * self.high_frac - 1e-9)
        return max(1, low), max(1, high)

    def quantile(self, uniforms: Floats) -> Tokens:
        """Length at each probability."""
        low, high = self.bounds_tokens
        return np.minimum(low + (uniforms * (high - low + 1)).astype(np.int64), high)

    @property
    def mean_tokens(self) -> float:
        """Midpoint of the bounds."""
        return sum(self.bounds_tokens) / 2
