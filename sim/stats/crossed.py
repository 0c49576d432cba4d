"""Mean of a figure that depends on two things drawn apart: years of faults, and replications of requests."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from sim.stats.estimate import CONFIDENCE, Estimate, student_factor
from sim.stats.mean import ONE_REPLICATION


def crossed_interval(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Grand mean of a table whose rows and columns were drawn independently, with its interval.

    The variance is that of the row means over their number plus that of the column means over theirs (delta method for
    a function linear in both); what rows and columns do together is counted in both, so the interval is a little wide.
    Degrees of freedom are those of Welch and Satterthwaite.

    Parameters
    ----------
    values : (rows, columns), at least one of each; one row gives an interval for these rows, one column for these
        columns.

    Raises
    ------
    ValueError : not a table, empty, or not finite.

    Sources
    -------
    Owen (2007), Ann. Appl. Stat. 1: crossed random effects. Coverage of products of independent normal rows and
    columns: 0.95 (`tests/unit/test_stats_coverage.py`).
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise ValueError(f"a table of finite values is needed, not shape {table.shape}")
    mean = float(table.mean())
    parts = []
    for axis in (0, 1):
        means = table.mean(axis=axis)
        if means.size > 1:
            parts.append((float(means.var(ddof=1)) / means.size, means.size - 1))
    if not parts:
        return Estimate(mean, note=ONE_REPLICATION)
    variance = sum(part for part, _ in parts)
    if variance == 0.0:
        return Estimate(mean, mean, mean)
    degrees = variance**2 / sum(part**2 / free for part, free in parts)
    half = student_factor(max(1, int(degrees)), confidence) * sqrt(variance)
    return Estimate(mean, mean - half, mean + half)
