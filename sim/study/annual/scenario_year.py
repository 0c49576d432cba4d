"""A year of a scenario: its clock of days, the responses of its requests, and what its tokens cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sim.scenario.scenario import Scenario
from sim.simulation.fleet_plan import fleet_plan, replicas_by_pool
from sim.study.annual.annual import Annual, annual
from sim.study.annual.clock import fault_years
from sim.study.annual.years import Years
from sim.study.metric import Metric
from sim.study.simulate import simulate
from sim.study.workers import Progress

YEARS_SHARE, COST_SHARE = 0.05, 0.1  # of the bar
COST = "cost_usd_per_mtok_output"
WITHOUT = "cost_usd_per_mtok_output_without_faults"


def years_of(scenario: Scenario, years: int, *, workers: int = 0) -> Years:
    """Years of faults of the scenario's fleet, from its seed."""
    plan, pools = fleet_plan(scenario), replicas_by_pool(scenario)
    return fault_years(plan, pools, years, scenario.run.seed, workers=workers)


def scenario_year(
    scenario: Scenario, *, years: int = 200, replications: int = 5, workers: int = 0, progress: Progress | None = None
) -> Annual:
    """What faults do to a year of the scenario, with the cost of its tokens.

    Raises
    ------
    ScenarioError, CatalogError : the input cannot be used.
    SimError : the scenario cannot work even without faults, or its load ends.
    """

    def part(begin: float, share: float) -> Progress | None:
        return None if progress is None else lambda done: progress(begin + share * done)

    history = years_of(scenario, years, workers=workers)
    if progress is not None:
        progress(YEARS_SHARE)
    found = annual(
        scenario,
        history,
        replications=replications,
        workers=workers,
        progress=part(YEARS_SHARE, 1.0 - YEARS_SHARE - COST_SHARE),
    )
    quiet = scenario.with_({"reliability.faults": False, "reliability.inject": [], "run.replications": replications})
    priced = simulate(quiet, workers=workers, progress=part(1.0 - COST_SHARE, COST_SHARE))
    costs = _costs(priced.metrics, found.metric("cost_per_good_token_factor"))
    return replace(found, metrics=(*found.metrics, *costs))


def _costs(metrics: tuple[Metric, ...], factor: Metric) -> Iterator[Metric]:
    """Cost per million good tokens without faults, and with them: the same money for fewer tokens.

    The interval with faults is that of the factor alone; that without is the priced run's.
    """
    for metric in metrics:
        if metric.metric != COST or metric.low is None or metric.value is None:
            continue  # an API's price per token does not depend on our faults
        value, low, high = (
            None if end is None else metric.value * end for end in (factor.value, factor.low, factor.high)
        )
        yield Metric(metric.option, COST, metric.unit, value, low, high)
        yield replace(metric, metric=WITHOUT)
