"""Availability against the number of spare nodes: simulated, by theory, and in a recorded fault history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.faults.fleet_plan import FleetPlan
from sim.faults.tally import Tally
from sim.faults.trace import FaultTrace
from sim.stats.estimate import Estimate
from sim.stats.mean import mean_interval
from sim.study.availability.closed_forms import ClosedForm, closed_form
from sim.study.fault_replay import ReplayCell, replay
from sim.units import HOUR_S, YEAR_S

WORSE: tuple[float, ...] = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class SparesLine:
    """One number of spares.

    Attributes
    ----------
    spares : nodes.
    up_frac : share of time with as many replicas as are needed.
    nodes_frac : share of time with no more nodes away than there are spares.
    short_h : hours per year with fewer replicas than are needed.
    short_h_quantiles : the same of single fleets over their lives, median and 95 %.
    theory : of independent nodes, for all replicas.
    trace : the same nodes in a recorded history; None without one.
    """

    spares: int
    up_frac: Estimate
    nodes_frac: Estimate
    short_h: Estimate
    short_h_quantiles: tuple[float, ...]
    theory: ClosedForm
    trace: ReplayCell | None = None


def with_spares(plan: FleetPlan, spares: int) -> FleetPlan:
    """The plan with another number of spares."""
    return replace(plan, spares=replace(plan.spares, count=spares))


def spares_line(plan: FleetPlan, tallies: Sequence[Tally], needed: int, shocks_per_node_s: float) -> SparesLine:
    """The line of a plan whose histories are at hand."""
    up = [tally.at_least_frac(needed) for tally in tallies]
    short_h = [(1.0 - share) * YEAR_S / HOUR_S for share in up]
    low, high = np.quantile(short_h, WORSE, method="inverted_cdf").tolist()
    return SparesLine(
        plan.spares.count,
        mean_interval(up),
        mean_interval([tally.nodes_away_at_most_frac(plan.spares.count) for tally in tallies]),
        mean_interval(short_h),
        (low, high),
        closed_form(plan, shocks_per_node_s),
    )


def beside_trace(lines: Sequence[SparesLine], trace: FaultTrace, nodes: int, sets: int, seed: int) -> list[SparesLine]:
    """The lines with what random sets of so many nodes of a recorded history had.

    Raises
    ------
    ScenarioError : the record has fewer nodes.
    """
    cells = {cell.spares: cell for cell in replay(trace, [nodes], [line.spares for line in lines], sets, seed)}
    return [replace(line, trace=cells[line.spares]) for line in lines]
