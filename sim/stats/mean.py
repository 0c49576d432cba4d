"""Mean over independent replications, and over batches of one long run."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from sim.stats.estimate import CONFIDENCE, Estimate, as_sample, student_factor

BATCHES = 20
ONE_REPLICATION = "one replication gives no interval"


def standard_error(values: npt.ArrayLike) -> float:
    """Standard error of the mean of independent values, (n,) with n >= 2."""
    sample = as_sample(values)
    if sample.size < 2:
        raise ValueError("a standard error needs at least two values")
    return float(sample.std(ddof=1)) / sqrt(sample.size)


def mean_interval(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of independent replications with Student's interval.

    Parameters
    ----------
    values : (replications,) one figure per replication.

    Raises
    ------
    ValueError : no values, or values that are not finite.

    Sources
    -------
    Law, Simulation Modeling and Analysis (5th ed.), section 9.4. Coverage on M/M/1 waits at load 0.9 with 20
    replications of 10,000 customers, 2,000 deleted: 0.953 where the interval of independent customers covers 0.087;
    `tests/unit/test_stats_coverage.py` measures both.
    """
    sample = as_sample(values)
    mean = float(sample.mean())
    if sample.size == 1:
        return Estimate(mean, note=ONE_REPLICATION)
    half = student_factor(sample.size - 1, confidence) * standard_error(sample)
    return Estimate(mean, mean - half, mean + half)


def batch_means_interval(values: npt.ArrayLike, batches: int = BATCHES, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of one long correlated run, with the interval of its batch means.

    Parameters
    ----------
    values : (n,) in order of time, warm-up deleted. What does not fill the last batch is left out of the interval.
    batches : equal batches, each much longer than the run's memory.

    Raises
    ------
    ValueError : fewer than two values per batch, or fewer than two batches.

    Sources
    -------
    Law, section 9.5.3. Coverage on M/M/1 waits at load 0.9, 200,000 customers: 0.948, 0.963, 0.960 with 10, 20, 50
    batches. It fails when batches are short against the memory: replications are better where there is a choice.
    """
    sample = as_sample(values)
    length = sample.size // batches if batches >= 2 else 0
    if length < 2:
        raise ValueError(f"batch means need two batches of two values, not {sample.size} values in {batches}")
    means = sample[: length * batches].reshape(batches, length).mean(axis=1)
    half = student_factor(batches - 1, confidence) * standard_error(means)
    mean = float(np.mean(sample))
    return Estimate(mean, mean - half, mean + half)
