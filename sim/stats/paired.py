"""Difference of two options that saw the same workload."""

from __future__ import annotations

import numpy.typing as npt

from sim.stats.estimate import CONFIDENCE, Estimate, as_sample
from sim.stats.mean import mean_interval


def paired_difference(first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of second minus first over replications, pair by pair.

    Parameters
    ----------
    first, second : (replications,) the same figure of two options; entry i of both comes from the same random streams,
        so what the options have in common cancels.

    Raises
    ------
    ValueError : lengths differ, or values are not finite.

    Sources
    -------
    Law, section 10.2.1. Common random numbers cut the variance of the difference of M/M/1 mean waits with a 5 % faster
    server by 3.8 times.
    """
    a, b = as_sample(first), as_sample(second)
    if a.size != b.size:
        raise ValueError(f"{a.size} values cannot be paired with {b.size}")
    return mean_interval(b - a, confidence)
