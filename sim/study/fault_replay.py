"""A fault trace replayed as smaller fleets, beside what independent nodes would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.errors import ScenarioError
from sim.faults.replay import draw_orders, enough_frac, enough_frac_of_all_sets
from sim.faults.trace import FaultTrace, down_table
from sim.oracle.availability import k_of_n
from sim.stats.estimate import Estimate
from sim.stats.mean import mean_interval
from sim.streams import Streams

STREAM: Final = "fault_trace.sets"
SPREAD: Final = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class ReplayCell:
    """Share of time with enough nodes, for one number needed and one number of spares.

    Attributes
    ----------
    needed, spares : nodes.
    trace : mean over the random sets, with its interval.
    spread : between which shares 90 % of the single sets lie: what one fleet can expect to see.
    all_sets : exact mean over all sets of that many nodes.
    binomial : independent nodes with the fleet's mean availability.
    """

    needed: int
    spares: int
    trace: Estimate
    spread: tuple[float, float]
    all_sets: float
    binomial: float

    @property
    def shortage_ratio(self) -> float | None:
        """How many times longer the trace is short of nodes than independent nodes; None where those never are."""
        short = 1.0 - self.binomial
        return (1.0 - self.all_sets) / short if short > 0.0 else None


def replay(trace: FaultTrace, needed: Sequence[int], spares: Sequence[int], sets: int, seed: int) -> list[ReplayCell]:
    """One cell per number needed and number of spares, all on the same random nodes.

    Raises
    ------
    ScenarioError : more nodes than the trace has, none needed, negative spares, or fewer than two sets.
    """
    most = max(needed, default=0) + max(spares, default=0)
    if min(needed, default=0) < 1 or most > trace.nodes:
        raise ScenarioError(
            "does not fit the trace",
            key="needed",
            value=list(needed),
            valid=f"1 or more, with spares at most {trace.nodes} nodes",
        )
    if min(spares, default=-1) < 0:
        raise ScenarioError("must not be negative", key="spares", value=list(spares), valid="0 or more")
    if sets < 2:
        raise ScenarioError("an interval needs at least two", key="subsets", value=sets, valid="2 or more")
    table = down_table(trace)
    orders = draw_orders(Streams(seed).generator(STREAM), trace.nodes, most, sets)
    cells = []
    for k in needed:
        for s in spares:
            shares = enough_frac(table, orders, k, s)
            low, high = np.quantile(shares, SPREAD).tolist()
            exact = enough_frac_of_all_sets(table, k, s)
            cells.append(
                ReplayCell(k, s, mean_interval(shares), (low, high), exact, k_of_n(k, k + s, table.availability))
            )
    return cells
