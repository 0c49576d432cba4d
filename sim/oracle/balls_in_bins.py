"""Balls in bins: the law of the fullest bin, which is the hottest GPU when routing is uniform."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

MOST_BALLS = 4096  # some seconds


def fullest_at_most_frac(balls: int, bins: int, most: int) -> float:
    """Chance that no bin holds more than `most` balls, each thrown into one of `bins` at random.

    Notes
    -----
    P = N! / E^N [x^N] (sum_{j <= m} x^j / j!)^E. Both sides are multiplied by Poisson weights of mean N / E, so that
    the polynomial holds probabilities and nothing cancels: P = P(E Poissons cut off at m sum to N) / P(Poisson(N) = N).
    Cost O(N^2 log E).

    Raises
    ------
    ValueError : no bins, or a number of balls outside 1 to 4,096.
    """
    _check(balls, bins)
    if most * bins < balls:
        return 0.0
    if most >= balls:
        return 1.0
    counts = np.arange(most + 1)
    mean = balls / bins
    one = np.exp(counts * np.log(mean) - mean - gammaln(counts + 1.0))
    whole = np.exp(balls * np.log(balls) - balls - gammaln(balls + 1.0))
    return float(_power(one, bins, balls)[balls] / whole)


def mean_fullest(balls: int, bins: int) -> float:
    """Expected number of balls in the fullest bin.

    Checked: 64 balls in 8 bins 12.235295, in 16 bins 7.8803832, 16 balls in 16 bins 3.0782468.

    Raises
    ------
    ValueError : as in `fullest_at_most_frac`.
    """
    _check(balls, bins)
    mean, most = 0.0, 0
    while (exceeds := 1.0 - fullest_at_most_frac(balls, bins, most)) > np.finfo(float).eps:
        mean += exceeds
        most += 1
    return mean


def _power(base: npt.NDArray[np.float64], exponent: int, degree: int) -> npt.NDArray[np.float64]:
    """The polynomial to a power, as far as `degree`, by squaring."""
    result = np.ones(1)
    while exponent:
        if exponent & 1:
            result = np.convolve(result, base)[: degree + 1]
        exponent >>= 1
        if exponent:
            base = np.convolve(base, base)[: degree + 1]
    return np.pad(result, (0, max(0, degree + 1 - result.size)))


def _check(balls: int, bins: int) -> None:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    if not 1 <= balls <= MOST_BALLS:
        raise ValueError(f"balls must be from 1 to {MOST_BALLS}, not {balls}")
