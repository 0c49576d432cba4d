"""Availability of a scenario's fleet over its life, without requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.errors import ScenarioError
from sim.faults.fleet_plan import FleetPlan
from sim.faults.tally import State, Tally
from sim.faults.trace import FaultTrace
from sim.scenario.scenario import Scenario
from sim.simulation.fleet_plan import fleet_plan
from sim.stats.estimate import Estimate
from sim.stats.mean import mean_interval
from sim.study.availability.causes import CauseLine, cause_lines, state_hours
from sim.study.availability.histories import histories
from sim.study.availability.spares import WORSE, SparesLine, beside_trace, spares_line, with_spares
from sim.study.availability.what_ifs import WhatIf, changes_of
from sim.study.metric import Metric
from sim.study.workers import Progress
from sim.units import HOUR_S, MINUTE_S, MONTH_H, YEAR_S

MONTH_S: Final = MONTH_H * HOUR_S


@dataclass(frozen=True, slots=True)
class Availability:
    """What years of faults do to a fleet.

    Attributes
    ----------
    needed : replicas that must be up for the fleet to count as available.
    fleets, years : histories, and the length of each.
    metrics : figures with intervals.
    law : share of time with at least so many replicas up, from none to all.
    states : replica-hours per year in each state.
    causes : what takes capacity.
    spares : by number of spare nodes; the scenario's own is among them.
    what_ifs : changes of the scenario.
    """

    scenario: Scenario
    plan: FleetPlan
    needed: int
    fleets: int
    years: float
    metrics: tuple[Metric, ...]
    law: tuple[Estimate, ...]
    states: Mapping[State, Estimate]
    causes: tuple[CauseLine, ...]
    spares: tuple[SparesLine, ...]
    what_ifs: tuple[WhatIf, ...]
    trace: FaultTrace | None = None


def availability(
    scenario: Scenario,
    *,
    years: float = 5.0,
    fleets: int = 200,
    needed: int | None = None,
    spares: Sequence[int] = (0, 1, 2, 3),
    what_if: bool = True,
    trace: FaultTrace | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Availability:
    """Run the histories of many fleets like the scenario's, with other numbers of spares, and with other assumptions.

    Parameters
    ----------
    years : life of each fleet, which begins new.
    needed : replicas that must be up; without it, all.
    spares : numbers of spare nodes to compare, beside the scenario's.
    trace : a recorded fault history to put beside.

    Raises
    ------
    ScenarioError, CatalogError : the input cannot be used, more replicas are needed than there are, or the trace has
        too few nodes.
    """
    plan = fleet_plan(scenario)
    replicas, own = len(plan.nodes), plan.spares.count
    needed = replicas if needed is None else needed
    if not 1 <= needed <= replicas:
        raise ScenarioError(
            "cannot be needed", key="needed", value=needed, valid=f"1 to {replicas} replicas", file=scenario.file
        )
    if min(spares, default=0) < 0:
        raise ScenarioError("must not be negative", key="spares", value=list(spares), valid="0 or more nodes")
    changes = changes_of(scenario) if what_if else {}
    plans = {name: fleet_plan(scenario.with_(change)) for name, change in changes.items()}
    counts = sorted({own, *spares})
    batch = _Batch(years * YEAR_S, fleets, scenario.run.seed, workers, progress, len(counts) + len(plans))
    by_spares = {count: batch.run(with_spares(plan, count)) for count in counts}
    lines = [spares_line(with_spares(plan, count), by_spares[count], needed) for count in counts]
    if trace is not None:
        lines = beside_trace(lines, trace, plan.in_service)
    what_ifs = []
    for name, other in plans.items():
        line = spares_line(other, batch.run(other), needed)
        what_ifs.append(WhatIf(name, changes[name], line.up_frac, line.short_h))
    tallies = by_spares[own]
    return Availability(
        scenario=scenario,
        plan=plan,
        needed=needed,
        fleets=fleets,
        years=years,
        metrics=tuple(_metrics(scenario.name, plan, needed, tallies)),
        law=tuple(mean_interval([tally.at_least_frac(k) for tally in tallies]) for k in range(replicas + 1)),
        states=state_hours(tallies),
        causes=cause_lines(plan, tallies),
        spares=tuple(lines),
        what_ifs=tuple(what_ifs),
        trace=trace,
    )


@dataclass(slots=True)
class _Batch:
    """Runs of the same size, with one bar for all."""

    life_s: float
    fleets: int
    seed: int
    workers: int
    progress: Progress | None
    total: int
    done: int = 0

    def run(self, plan: FleetPlan) -> list[Tally]:
        def part(share: float) -> None:
            if self.progress is not None:
                self.progress((self.done + share) / self.total)

        found = histories(plan, self.life_s, self.fleets, self.seed, workers=self.workers, progress=part)
        self.done += 1
        return found


def _metrics(name: str, plan: FleetPlan, needed: int, tallies: Sequence[Tally]) -> Iterator[Metric]:
    def of(metric: str, unit: str, measure: Callable[[Tally], float]) -> Metric:
        return Metric.of(name, metric, unit, mean_interval([measure(tally) for tally in tallies]))

    def per_year(metric: str, unit: str, measure: Callable[[Tally], float]) -> Metric:
        return of(metric, unit, lambda tally: measure(tally) * YEAR_S / tally.horizon_s)

    replicas, nodes = len(plan.nodes), plan.in_service + plan.spares.count

    def short_s(tally: Tally) -> float:
        return sum(tally.up_s[:needed])

    yield of("available_frac", "fraction", lambda tally: tally.at_least_frac(needed))
    yield per_year("short_h_per_year", "h/year", lambda tally: short_s(tally) / HOUR_S)
    low, high = np.quantile(
        [short_s(tally) * YEAR_S / tally.horizon_s / HOUR_S for tally in tallies], WORSE, method="inverted_cdf"
    )
    yield Metric(name, "short_h_per_year_p50", "h/year", float(low), note="median of single fleets over their lives")
    yield Metric(name, "short_h_per_year_p95", "h/year", float(high), note="one fleet in twenty does worse")
    yield per_year("outages_per_year", "1/year", lambda tally: float(tally.drops[needed]))
    yield _mean_outage(name, needed, tallies)
    yield per_year("dark_h_per_year", "h/year", lambda tally: tally.up_s[0] / HOUR_S)
    yield of("longest_dark_h", "h", lambda tally: tally.longest_dark_s / HOUR_S)
    yield of("capacity_frac", "fraction", lambda tally: tally.capacity_s / (replicas * tally.horizon_s))
    yield per_year("slow_replica_h_per_year", "replica-hours/year", lambda tally: sum(tally.slow_s.values()) / HOUR_S)
    yield per_year("tainted_replica_h_per_year", "replica-hours/year", lambda tally: tally.tainted_s / HOUR_S)
    yield of("node_available_frac", "fraction", lambda tally: _nodes_there(tally, nodes))
    yield per_year("faults_per_year", "1/year", lambda tally: float(sum(tally.faults.values())))
    yield per_year("replica_faults_per_year", "1/year", lambda tally: float(sum(tally.replica_faults.values())))
    yield of("pages_per_month", "1/month", lambda tally: sum(tally.faults.values()) * MONTH_S / tally.horizon_s)
    yield of("planned_per_month", "1/month", lambda tally: sum(tally.planned.values()) * MONTH_S / tally.horizon_s)
    yield of("hands_on_h_per_month", "h/month", lambda tally: tally.hands_on_s / HOUR_S * MONTH_S / tally.horizon_s)
    yield per_year("refailed_per_year", "1/year", lambda tally: float(tally.refailed))
    yield per_year("replaced_nodes_per_year", "1/year", lambda tally: float(tally.replaced))
    yield per_year("rented_node_h_per_year", "node-hours/year", lambda tally: tally.rented_s / HOUR_S)
    yield per_year("doubled_node_h_per_year", "node-hours/year", lambda tally: tally.doubled_s / HOUR_S)


def _mean_outage(name: str, needed: int, tallies: Sequence[Tally]) -> Metric:
    """Time short over times that it began, pooled; no interval, since it is a ratio of two sums."""
    count = sum(tally.drops[needed] for tally in tallies)
    short_s = sum(sum(tally.up_s[:needed]) for tally in tallies)
    if not count:
        return Metric(name, "mean_outage_min", "min", None, note="no outage in any history")
    return Metric(name, "mean_outage_min", "min", short_s / count / MINUTE_S, note="pooled over all histories")


def _nodes_there(tally: Tally, nodes: int) -> float:
    """Share of node-time not under repair."""
    away_s = sum(count * seconds for count, seconds in tally.away_s.items())
    return 1.0 - away_s / (nodes * tally.horizon_s)
