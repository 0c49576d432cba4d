"""A recorded fault history as the history of a smaller fleet: random sets of its nodes, to the second.

All of `needed + spares` nodes take part and fail in the place where they fail in the record (hot spares). The share of
time with enough nodes is exact for each set, and the mean over all sets is exact as well: with D of N nodes down, a set
of n has a hypergeometric number of them.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import hypergeom

from sim.faults.trace import DownTable, Floats, Ints


def draw_orders(rng: np.random.Generator, nodes: int, most: int, sets: int) -> Ints:
    """(sets, most) distinct nodes in random order; the first n of a row are a random set of n.

    Larger sets contain the smaller ones, so that numbers of spares are compared on the same nodes.
    """
    return np.array([rng.choice(nodes, size=most, replace=False) for _ in range(sets)], dtype=np.int64)


def enough_frac(table: DownTable, orders: Ints, needed: int, spares: int) -> Floats:
    """(sets,) share of time with at least `needed` of the first `needed + spares` nodes of each row up."""
    weights, columns = table.weights, np.ascontiguousarray(table.down.T)
    size = needed + spares
    return np.array([float(weights[columns[row[:size]].sum(axis=0) <= spares].sum()) for row in orders])


def enough_frac_of_all_sets(table: DownTable, needed: int, spares: int) -> float:
    """The mean of `enough_frac` over all sets of nodes there are.

    Sources
    -------
    Hypergeometric law of the nodes down among those drawn, weighted by time.
    """
    down, total = table.down_nodes, table.down.shape[1]
    return float(table.weights @ hypergeom.cdf(spares, total, down, needed + spares))
