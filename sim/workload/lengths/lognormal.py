"""Lognormal lengths with bounds: most prompts short, a few very long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.errors import ScenarioError
from sim.workload.checks import at_least_one, positive
from sim.workload.lengths.law import Floats, LengthLaw, Tokens, whole

Truncation = Literal["clamp", "resample"]
LEAST_MASS = 1e-6


@dataclass(frozen=True, slots=True)
class Lognormal(LengthLaw):
    """exp(N(ln median, sigma^2)), bounded, rounded to whole tokens.

    Parameters
    ----------
    median_tokens, sigma : of the law before it is bounded; its mean is median x exp(sigma^2 / 2).
    min_tokens, max_tokens : bounds, both possible; no upper bound when None.
    truncation : `clamp` moves what lies outside onto the bound, as a service that cuts prompts at its window does (the
        Azure 2023 code trace piles up at 7,437); `resample` draws again until inside, and so thins the tail. The
        latter is drawn by inversion of the conditional law, one uniform per request, not by a loop.

    Raises
    ------
    ScenarioError : median below one, sigma not positive, bounds out of order, or almost nothing inside the bounds.
    """

    median_tokens: float
    sigma: float
    min_tokens: int = 1
    max_tokens: int | None = None
    truncation: Truncation = "clamp"

    def __post_init__(self) -> None:
        positive("median_tokens", self.median_tokens)
        positive("sigma", self.sigma)
        at_least_one("min_tokens", self.min_tokens)
        if self.truncation not in ("clamp", "resample"):
            raise ScenarioError("is no truncation", key="truncation", value=self.truncation, valid="clamp, resample")
        if self.max_tokens is not None and self.max_tokens < self.min_tokens:
            raise ScenarioError("is below min_tokens", key="max_tokens", value=self.max_tokens)
        low, high = self._bound_probabilities()
        if self.truncation == "resample" and high - low < LEAST_MASS:
            raise ScenarioError("leaves almost none of the law", key="max_tokens", value=self.max_tokens)

    def quantile(self, uniforms: Floats) -> Tokens:
        """Length at each probability."""
        from scipy.special import ndtri

        if self.truncation == "resample":
            low, high = self._bound_probabilities()
            uniforms = low + uniforms * (high - low)
        tokens = np.exp(np.minimum(math.log(self.median_tokens) + self.sigma * ndtri(uniforms), math.log(2**53)))
        if self.max_tokens is not None:
            tokens = np.minimum(tokens, self.max_tokens)
        return whole(tokens, self.min_tokens)

    @property
    def mean_tokens(self) -> float:
        """Mean of the bounded law, before rounding to whole tokens."""
        from scipy.special import ndtr

        low, high = self._bounds_in_sigmas()
        within = float(ndtr(high - self.sigma) - ndtr(low - self.sigma))
        inside = self.median_tokens * math.exp(self.sigma**2 / 2) * within
        below, above = float(ndtr(low)), float(ndtr(-high))
        if self.truncation == "resample":
            return inside / (1 - below - above)
        return self.min_tokens * below + inside + (self.max_tokens or 0) * above

    def _bounds_in_sigmas(self) -> tuple[float, float]:
        centre = math.log(self.median_tokens)
        high = math.inf if self.max_tokens is None else (math.log(self.max_tokens) - centre) / self.sigma
        return (math.log(self.min_tokens) - centre) / self.sigma, high

    def _bound_probabilities(self) -> tuple[float, float]:
        from scipy.special import ndtr

        low, high = self._bounds_in_sigmas()
        return float(ndtr(low)), float(ndtr(high))
