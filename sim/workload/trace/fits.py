"""Maximum-likelihood fits of gap laws, and how far they are from the data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.workload.arrivals.renewal import weibull_cv

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GapFit:
    """One fitted law.

    Attributes
    ----------
    shape : shape parameter; 1 is the exponential law.
    cv : coefficient of variation that the shape implies, not that of the data.
    ks : Kolmogorov-Smirnov distance between the data and the fitted law.
    """

    shape: float
    cv: float
    ks: float


def exponential_ks(gaps_s: Floats) -> float:
    """Kolmogorov-Smirnov distance to the exponential law of the same mean."""
    return _ks(gaps_s, lambda x: -np.expm1(-x / gaps_s.mean()))


def fit_gamma(gaps_s: Floats) -> GapFit:
    """Gamma law by maximum likelihood: ln k - psi(k) = ln(mean) - mean(ln).

    Parameters
    ----------
    gaps_s : positive, not all equal.
    """
    from scipy.optimize import brentq
    from scipy.special import digamma, gammainc

    mean = float(gaps_s.mean())
    excess = math.log(mean) - float(np.log(gaps_s).mean())
    # bounds from 1/(2k) < ln k - psi(k) < 1/k
    shape = float(brentq(lambda k: math.log(k) - digamma(k) - excess, 0.5 / excess * 0.999, 1 / excess * 1.001))
    return GapFit(
        shape,
        1 / math.sqrt(shape),
        _ks(gaps_s, lambda x: np.asarray(gammainc(shape, x * shape / mean), dtype=np.float64)),
    )


def fit_weibull(gaps_s: Floats) -> GapFit:
    """Weibull law by maximum likelihood: the shape c solves sum(x^c ln x) / sum(x^c) - 1/c = mean(ln x).

    Parameters
    ----------
    gaps_s : positive, not all equal.
    """
    from scipy.optimize import brentq

    logs = np.log(gaps_s / gaps_s.max())  # powers of ratios up to one cannot overflow
    mean_log = float(logs.mean())

    def score(shape: float) -> float:
        powers = np.exp(shape * logs)
        return float(powers @ logs / powers.sum()) - 1 / shape - mean_log

    low, high = 1e-3, 1.0
    while score(high) < 0:
        high *= 2
    shape = float(brentq(score, low, high))
    scale = float(np.exp(shape * logs).mean() ** (1 / shape) * gaps_s.max())
    return GapFit(shape, weibull_cv(shape), _ks(gaps_s, lambda x: -np.expm1(-((x / scale) ** shape))))


def _ks(values: Floats, cdf: Callable[[Floats], Floats]) -> float:
    ordered = np.sort(values)
    law = cdf(ordered)
    n = len(ordered)
    above = np.arange(1, n + 1) / n - law
    below = law - np.arange(n) / n
    return float(max(above.max(), below.max()))
