"""Availability against the number of spare nodes: simulated, by theory, and in a recorded fault history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.errors import ScenarioError
from sim.faults.fleet_plan import FleetPlan
from sim.faults.replay import enough_frac_of_all_sets
from sim.faults.tally import Tally
from sim.faults.trace import FaultTrace, down_table
from sim.oracle.availability import k_of_n
from sim.stats.estimate import Estimate
from sim.stats.mean import mean_interval
from sim.study.availability.closed_forms import ClosedForm, closed_form
from sim.units import HOUR_S, YEAR_S

WORSE: tuple[float, ...] = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Share of time with enough nodes, in a recorded history and for independent nodes of its availability."""

    all_sets: float
    binomial: float


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
    trace: Recorded | None = None


def with_spares(plan: FleetPlan, spares: int) -> FleetPlan:
    """The plan with another number of spares."""
    return replace(plan, spares=replace(plan.spares, count=spares))


def spares_line(plan: FleetPlan, tallies: Sequence[Tally], needed: int) -> SparesLine:
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
        closed_form(plan),
    )


def beside_trace(lines: Sequence[SparesLine], trace: FaultTrace, nodes: int) -> list[SparesLine]:
    """The lines with what sets of so many nodes of a recorded history had, in the mean over all sets.

    Raises
    ------
    ScenarioError : the record has fewer nodes.
    """
    most = nodes + max(line.spares for line in lines)
    if most > trace.nodes:
        raise ScenarioError("has too few nodes", key="trace", value=trace.nodes, valid=f"{most} or more nodes")
    table = down_table(trace)
    return [
        replace(
            line,
            trace=Recorded(
                enough_frac_of_all_sets(table, nodes, line.spares),
                k_of_n(nodes, nodes + line.spares, table.availability),
            ),
        )
        for line in lines
    ]
