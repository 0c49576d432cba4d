"""Lengths as measured: a table of quantiles, or values with weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sim.errors import ScenarioError
from sim.workload.checks import at_least_one, not_negative
from sim.workload.lengths.law import Floats, LengthLaw, Tokens, whole


@dataclass(frozen=True, slots=True)
class QuantileTable(LengthLaw):
    """Lengths interpolated linearly between measured quantiles; constant beyond the first and the last one.

    Parameters
    ----------
    probabilities : increasing, within [0, 1].
    tokens : length at each of them, at least 1, not decreasing.

    Raises
    ------
    ScenarioError : unequal lengths, fewer than two points, or values out of order.
    """

    probabilities: tuple[float, ...]
    tokens: tuple[float, ...]

    def __post_init__(self) -> None:
        p, x = self.probabilities, self.tokens
        if len(p) != len(x) or len(p) < 2:
            raise ScenarioError("needs as many lengths as probabilities, two at least", key="tokens", value=x)
        if not (p[0] >= 0 and p[-1] <= 1 and all(a < b for a, b in pairwise(p))):
            raise ScenarioError("must increase within [0, 1]", key="probabilities", value=p)
        for length in (x[0], x[-1]):
            at_least_one("tokens", length)  # type: ignore[arg-type]
        if not all(a <= b for a, b in pairwise(x)):
            raise ScenarioError("must not decrease", key="tokens", value=x)

    def quantile(self, uniforms: Floats) -> Tokens:
        """Length at each probability."""
        return whole(np.interp(uniforms, self.probabilities, self.tokens))

    @property
    def mean_tokens(self) -> float:
        """Mean of the interpolated law, before rounding to whole tokens."""
        p, x = np.asarray(self.probabilities), np.asarray(self.tokens)
        between = float(np.sum(np.diff(p) * (x[1:] + x[:-1]) / 2))
        return float(x[0] * p[0]) + between + float(x[-1] * (1 - p[-1]))


@dataclass(frozen=True, slots=True)
class Empirical(LengthLaw):
    """One of the given lengths, with probability proportional to its weight.

    Parameters
    ----------
    tokens : possible lengths, at least 1, increasing.
    weights : one per length, not negative; equal when None.

    Raises
    ------
    ScenarioError : no lengths, lengths out of order or below 1, or weights that do not match.
    """

    tokens: tuple[int, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.tokens or not all(a < b for a, b in zip(self.tokens, self.tokens[1:], strict=False)):
            raise ScenarioError("must be increasing and not empty", key="tokens", value=self.tokens)
        at_least_one("tokens", self.tokens[0])
        if self.weights is not None:
            if len(self.weights) != len(self.tokens) or not any(self.weights):
                raise ScenarioError("needs one weight per length, not all zero", key="weights", value=self.weights)
            for weight in self.weights:
                not_negative("weights", weight)

    @classmethod
    def of(cls, observed: Tokens) -> Empirical:
        """The law that draws one of `observed` at random."""
        values, counts = np.unique(observed, return_counts=True)
        return cls(tuple(values.tolist()), tuple(counts.astype(np.float64).tolist()))

    def quantile(self, uniforms: Floats) -> Tokens:
        """Length at each probability."""
        ladder = np.cumsum(self._shares())
        index = np.searchsorted(ladder / ladder[-1], uniforms, side="right")
        return np.asarray(self.tokens, dtype=np.int64)[index]

    @property
    def mean_tokens(self) -> float:
        """Weighted mean."""
        shares = self._shares()
        return float(shares @ np.asarray(self.tokens) / shares.sum())

    def _shares(self) -> Floats:
        return np.asarray(self.weights if self.weights is not None else [1.0] * len(self.tokens), dtype=np.float64)
