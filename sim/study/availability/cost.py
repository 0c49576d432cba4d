"""What each spare node buys: availability and cost against the number of spares, for fleets of several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sim.errors import ScenarioError, SimError
from sim.scenario.scenario import Scenario
from sim.simulation.fleet_plan import fleet_plan
from sim.stats.estimate import Estimate
from sim.stats.mean import mean_interval
from sim.study.availability.histories import histories
from sim.study.availability.spares import SparesLine, spares_line
from sim.study.metric import Metric
from sim.study.money import BILLED
from sim.study.simulate import simulate
from sim.study.workers import Progress
from sim.units import YEAR_S

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Final = ("replicas", "spares", "option", "metric", "unit", "value", "low", "high", "status")
PER_YEAR, PER_MTOK = "cost_usd_per_year", "cost_usd_per_mtok_output"
EFFECTIVE = "cost_usd_per_mtok_output_with_downtime"
AVOIDED = "cost_usd_per_outage_hour_avoided"


@dataclass(frozen=True, slots=True)
class _Priced:
    """One fleet: its availability, and what its own options cost a year and by the token."""

    replicas: int
    spares: int
    name: str
    status: str
    line: SparesLine
    capacity: Estimate
    per_year: Mapping[str, Metric]
    per_mtok: Mapping[str, Metric]

    def rows(self, before: _Priced | None) -> Iterator[tuple[Any, ...]]:
        """Rows of the table; `before` is the same fleet with the spare less."""
        own = (
            ("available_frac", "fraction", self.line.up_frac),
            ("short_h_per_year", "h/year", self.line.short_h),
            ("capacity_frac", "fraction", self.capacity),
        )
        for name, unit, figure in own:
            yield self._row(self.name, name, unit, figure.value, figure.low, figure.high)
        there = self.capacity.value or 1.0
        for option, metric in self.per_mtok.items():
            ends = (metric.value, metric.low, metric.high)
            yield self._row(option, PER_MTOK, metric.unit, *ends)
            yield self._row(option, EFFECTIVE, metric.unit, *(None if end is None else end / there for end in ends))
        for option, metric in self.per_year.items():
            yield self._row(option, PER_YEAR, metric.unit, metric.value, metric.low, metric.high)
            if before is not None:
                yield self._row(option, AVOIDED, "USD/h", self._avoided_usd(option, before), None, None)

    def _avoided_usd(self, option: str, before: _Priced) -> float | None:
        """What the last spare costs per hour short that it saves; None where it saves none that shows."""
        saved_h = (before.line.short_h.value or 0.0) - (self.line.short_h.value or 0.0)
        usd = (self.per_year[option].value or 0.0) - (before.per_year[option].value or 0.0)
        return usd / saved_h if saved_h > 0.0 else None

    def _row(self, option: str, name: str, unit: str, *figures: float | None) -> tuple[Any, ...]:
        return self.replicas, self.spares, option, name, unit, *figures, self.status


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
    ScenarioError : another number of replicas is asked for, and the load has no rate that could grow with it.
    SimError : the load cannot be carried, even without faults.
    """
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    done = 0
    for count in replicas:
        before = None
        for number in sorted(spares):
            found = _priced(_sized(scenario, count, number), years, fleets, workers)
            rows += found.rows(before)
            before, done = found, done + 1
            if progress is not None:
                progress(done / (len(replicas) * len(spares)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _sized(scenario: Scenario, replicas: int, spares: int) -> Scenario:
    changes: dict[str, Any] = {"deployment.replicas": replicas, "deployment.spare_nodes": spares}
    if replicas != scenario.deployment.replicas:
        rate_rps = getattr(scenario.workload.arrivals, "rate_rps", None)
        if rate_rps is None:
            raise ScenarioError(
                "has no rate that could grow with the replicas",
                key="workload.arrivals",
                valid=f"a process with rate_rps, or {scenario.deployment.replicas} replicas only",
                file=scenario.file,
            )
        changes["workload.arrivals.rate_rps"] = rate_rps * replicas / scenario.deployment.replicas
    return scenario.with_(changes)


def _priced(sized: Scenario, years: float, fleets: int, workers: int) -> _Priced:
    plan = fleet_plan(sized)
    replicas, spares = len(plan.nodes), plan.spares.count
    tallies = histories(plan, years * YEAR_S, fleets, sized.run.seed, workers=workers)
    result = simulate(sized, workers=workers)
    if result.infeasible is not None:
        raise SimError(str(result.infeasible))
    own = [metric for metric in result.metrics if metric.note != BILLED]  # an API has no nodes to spare
    fleet_options = {metric.option for metric in own if metric.metric == PER_YEAR}
    return _Priced(
        replicas,
        spares,
        sized.name,
        result.status,
        spares_line(plan, tallies, replicas),
        mean_interval([tally.capacity_s / (replicas * tally.horizon_s) for tally in tallies]),
        {metric.option: metric for metric in own if metric.metric == PER_YEAR},
        {metric.option: metric for metric in own if metric.metric == PER_MTOK and metric.option in fleet_options},
    )
