"""What each spare node buys: availability and cost against the number of spares, for fleets of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sim.errors import SimError
from sim.scenario.scenario import Scenario
from sim.simulation.fleet_plan import fleet_plan
from sim.stats.estimate import Estimate
from sim.stats.mean import mean_interval
from sim.study.availability.histories import histories
from sim.study.availability.spares import spares_line, with_spares
from sim.study.simulate import simulate
from sim.study.workers import Progress
from sim.units import YEAR_S

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Final = ("replicas", "spares", "option", "metric", "unit", "value", "low", "high", "status")
PER_YEAR, PER_MTOK = "cost_usd_per_year", "cost_usd_per_mtok_output"
EFFECTIVE = "cost_usd_per_mtok_output_with_downtime"
AVOIDED = "cost_usd_per_outage_hour_avoided"


def cost_of_spares(
    scenario: Scenario,
    replicas: Sequence[int],
    spares: Sequence[int],
    *,
    years: float = 5.0,
    fleets: int = 200,
    workers: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Every size with every number of spares; the load grows with the replicas.

    The cost with downtime takes what is served to fall with the capacity that is missing: exact for one replica, an
    upper bound for more, where others take over what a lost one would have served.

    Returns
    -------
    Tidy: replicas, spares, option, metric, unit, value, low, high, status. `cost_usd_per_outage_hour_avoided` is what
    the last spare adds to a year's cost over the hours short that it saves.

    Raises
    ------
    SimError : the load cannot be carried, even without faults.
    """
    import pandas as pd

    rate_rps = getattr(scenario.workload.arrivals, "rate_rps", None)
    rows: list[tuple[Any, ...]] = []
    steps = [(count, number) for count in replicas for number in sorted(spares)]
    before: dict[str, tuple[float, float]] = {}
    for index, (count, number) in enumerate(steps):
        changes: dict[str, Any] = {"deployment.replicas": count, "deployment.spare_nodes": number}
        if rate_rps is not None:
            changes["workload.arrivals.rate_rps"] = rate_rps * count / scenario.deployment.replicas
        sized = scenario.with_(changes)
        if number == min(spares):
            before = {}
        plan = with_spares(fleet_plan(sized), number)
        tallies = histories(plan, years * YEAR_S, fleets, scenario.run.seed, workers=workers)
        line = spares_line(plan, tallies, count, 0.0)
        capacity = mean_interval([tally.capacity_s / (count * tally.horizon_s) for tally in tallies])
        own = [
            ("available_frac", "fraction", line.up_frac),
            ("short_h_per_year", "h/year", line.short_h),
            ("capacity_frac", "fraction", capacity),
        ]
        rows += [(count, number, sized.name, *_plain(name, unit, estimate), "ok") for name, unit, estimate in own]
        rows += _costs(sized, count, number, line.short_h, capacity, before, workers)
        if progress is not None:
            progress((index + 1) / len(steps))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _costs(
    sized: Scenario,
    count: int,
    number: int,
    short_h: Estimate,
    capacity: Estimate,
    before: dict[str, tuple[float, float]],
    workers: int,
) -> list[tuple[Any, ...]]:
    """Costs of every own option; `before` holds cost and hours short with the spare less, and is brought up to date."""
    result = simulate(sized, workers=workers)
    if result.infeasible is not None:
        raise SimError(str(result.infeasible))
    rows: list[tuple[Any, ...]] = []
    hours, there = short_h.value or 0.0, capacity.value or 1.0
    for metric in result.metrics:
        if metric.metric not in {PER_YEAR, PER_MTOK} or metric.value is None or metric.note.startswith("the provider"):
            continue
        rows.append(
            (
                count,
                number,
                metric.option,
                metric.metric,
                metric.unit,
                metric.value,
                metric.low,
                metric.high,
                result.status,
            )
        )
        if metric.metric == PER_MTOK:
            ends = (None if end is None else end / there for end in (metric.value, metric.low, metric.high))
            rows.append((count, number, metric.option, EFFECTIVE, metric.unit, *ends, result.status))
        elif metric.option in before:
            usd, short = before[metric.option]
            saved = short - hours
            value = (metric.value - usd) / saved if saved > 0.0 else None
            rows.append((count, number, metric.option, AVOIDED, "USD/h", value, None, None, result.status))
        if metric.metric == PER_YEAR:
            before[metric.option] = (metric.value, hours)
    return rows


def _plain(name: str, unit: str, estimate: Estimate) -> tuple[Any, ...]:
    return name, unit, estimate.value, estimate.low, estimate.high
