"""How popular the experts of a layer are: draws of their shares of the routed tokens, and how these drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from sim.catalog.tables import number

Floats = npt.NDArray[np.float64]
_ROW = ("kernels", "expert_imbalance")


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Measured tokens per expert, as shares; equal only to itself, so that it can key a table of results.

    Attributes
    ----------
    shares : (layers, experts), each row adding up to 1.
    source : file that it was read from.
    """

    shares: Floats
    source: str = ""

    @staticmethod
    def of(tokens: Sequence[Sequence[float]], source: str = "") -> Histogram:
        """From tokens by layer and expert; every layer must have some."""
        counts = np.asarray(tokens, dtype=float)
        return Histogram(counts / counts.sum(axis=1, keepdims=True), source)


class Popularity(Protocol):
    """A law of expert popularity: rows of shares from rows of independent standard normal scores."""

    def shares(self, scores: Floats) -> Floats:
        """(draws, experts) shares that add up to 1 per row."""
        ...

    def start(self, rng: np.random.Generator, draws: int, experts: int) -> Floats:
        """(draws, experts) standard normal scores to start from."""
        ...


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """Popularity with density x^-alpha on [lowest, highest], each expert drawn on its own.

    Attributes
    ----------
    alpha : skew; 0 with highest = lowest is uniform routing.
    lowest, highest : range of the unscaled popularity, lowest above 0.
    """

    alpha: float
    lowest: float
    highest: float

    def shares(self, scores: Floats) -> Floats:
        """Shares by the inverse distribution function of each score."""
        drawn = inverse(ndtr(scores), self.alpha, self.lowest, self.highest)
        return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))

    def start(self, rng: np.random.Generator, draws: int, experts: int) -> Floats:
        """Independent scores."""
        return rng.standard_normal((draws, experts))


@dataclass(frozen=True, slots=True)
class Measured:
    """Popularity of a measured histogram: layers in turn; drift exchanges the popularity of its experts."""

    histogram: Histogram

    def shares(self, scores: Floats) -> Floats:
        """Each row has the popularity of one layer, the expert with the highest score the highest of them."""
        rows = np.arange(scores.shape[0]) % self.histogram.shares.shape[0]
        ranked = np.sort(self.histogram.shares, axis=1)[rows]
        places = np.argsort(np.argsort(scores, axis=1), axis=1)
        return np.take_along_axis(ranked, places, axis=1)

    def start(self, rng: np.random.Generator, draws: int, experts: int) -> Floats:
        """Scores in the order of the measured popularity, so that no drift gives back the measured layer."""
        rows = np.arange(draws) % self.histogram.shares.shape[0]
        order = np.argsort(np.argsort(self.histogram.shares, axis=1, kind="stable"), axis=1)[rows]
        return np.take_along_axis(np.sort(rng.standard_normal((draws, experts)), axis=1), order, axis=1)


def power_law(alpha: float, tokens: float) -> PowerLaw:
    """The power law as the AIConfigurator collectors draw it: on [1, max(1, 0.8 N)] for N tokens."""
    lowest = number(*_ROW, "lowest_popularity")
    return PowerLaw(alpha, lowest, max(lowest, number(*_ROW, "highest_popularity_frac") * tokens))


def drifted(scores: Floats, kept: float, rng: np.random.Generator) -> Floats:
    """Scores that still correlate by `kept` (1 nothing moved, 0 all drawn anew) with those given.

    A Gaussian copula: each expert's popularity wanders, but the law that it is drawn from stays.
    """
    if kept >= 1.0:
        return scores
    return np.asarray(kept * scores + (1.0 - kept**2) ** 0.5 * rng.standard_normal(scores.shape))


def inverse(uniform: Floats, alpha: float, low: float, high: float) -> Floats:
    """Inverse distribution function of the density x^-alpha on [low, high]."""
    if abs(alpha - 1.0) < 1e-9:
        return np.asarray(low * (high / low) ** uniform)
    bottom, top = low ** (1.0 - alpha), high ** (1.0 - alpha)
    return np.asarray(((top - bottom) * uniform + bottom) ** (1.0 / (1.0 - alpha)))
