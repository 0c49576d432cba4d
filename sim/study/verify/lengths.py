"""Output-length laws with exact means, for closed forms that depend on the mean or on two moments."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Protocol

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int64]


class Lengths(Protocol):
    """A law of whole numbers, at least one, of known mean and squared coefficient of variation."""

    @property
    def mean_tokens(self) -> float:
        """Mean."""

    @property
    def scv(self) -> float:
        """Squared coefficient of variation."""

    def draw(self, rng: np.random.Generator, count: int) -> Tokens:
        """(count,) lengths."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same."""

    tokens: int

    @property
    def mean_tokens(self) -> float:
        """Mean."""
        return float(self.tokens)

    @property
    def scv(self) -> float:
        """Zero."""
        return 0.0

    def draw(self, rng: np.random.Generator, count: int) -> Tokens:  # noqa: ARG002 - draws nothing
        """(count,) equal lengths."""
        return np.full(count, self.tokens, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Geometric:
    """1, 2, ... without memory; nearly exponential when the mean is large."""

    mean_tokens: float

    @property
    def scv(self) -> float:
        """One less the chance of ending at any token."""
        return 1.0 - 1.0 / self.mean_tokens

    def draw(self, rng: np.random.Generator, count: int) -> Tokens:
        """(count,) lengths."""
        return rng.geometric(1.0 / self.mean_tokens, count)


@dataclass(frozen=True, slots=True)
class TwoPoint:
    """Short with chance 1 - `long_frac`, else long."""

    short_tokens: int
    long_tokens: int
    long_frac: float

    @property
    def mean_tokens(self) -> float:
        """Mean."""
        return (1.0 - self.long_frac) * self.short_tokens + self.long_frac * self.long_tokens

    @property
    def scv(self) -> float:
        """Squared coefficient of variation."""
        apart = self.long_tokens - self.short_tokens
        return self.long_frac * (1.0 - self.long_frac) * (apart / self.mean_tokens) ** 2

    def draw(self, rng: np.random.Generator, count: int) -> Tokens:
        """(count,) lengths."""
        return np.where(rng.random(count) < self.long_frac, self.long_tokens, self.short_tokens)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal, rounded up or down at random so that the mean is kept; at least one."""

    mean_tokens: float
    scv: float

    def draw(self, rng: np.random.Generator, count: int) -> Tokens:
        """(count,) lengths."""
        variance = log(1.0 + self.scv)
        values = rng.lognormal(log(self.mean_tokens) - 0.5 * variance, sqrt(variance), count)
        return np.maximum(1, np.floor(values + rng.random(count)).astype(np.int64))
