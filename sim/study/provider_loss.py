"""Self-hosting, an API, and one behind the other, when the provider can be lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from sim.catalog.tables import number
from sim.faults.alternating_nodes import AlternatingNodes
from sim.simulation.faults import repair_law
from sim.stats.estimate import Estimate
from sim.study.provider_catalog import TABLE, Circumstances, provider, risk
from sim.study.service_paths import Comparison, FailoverPath, compare_paths, node_path, provider_path
from sim.study.workers import Progress, spread
from sim.units import DAY_S, HOUR_S, YEAR_H

API: Final = "API"
NODES_PER_REPLICA: Final = 2
SIZES: Final = ((1, 0), (1, 1), (2, 0), (2, 1))
REPAIRS: Final = ("urgent", "trace", "managed")


@dataclass(frozen=True, slots=True)
class LossCase:
    """One set of rates.

    Attributes
    ----------
    name : shown.
    customer : rates of rare events, and whether the withdrawal happens.
    """

    name: str
    customer: Circumstances


CASES: Final = (
    LossCase("base rates", Circumstances("base")),
    LossCase("high rates", Circumstances("high")),
    LossCase("18-day withdrawal happens", Circumstances("base", withdrawal=True)),
)


@dataclass(frozen=True, slots=True)
class LossTask:
    """What one worker simulates."""

    case: LossCase
    service: str
    repair: str
    years: int
    replications: int
    seed: int


def compare_losses(
    *, service: str, repair: str, years: int, replications: int, seed: int, workers: int = 0, progress: Any = None
) -> list[tuple[LossCase, Comparison]]:
    """All paths in all cases, on the same random numbers.

    Parameters
    ----------
    service : provider of the catalog behind the API.
    repair : repair law of the catalog for the own nodes.

    Raises
    ------
    CatalogError : unknown service or repair law. ScenarioError : too few years or replications.
    """
    tasks = [LossTask(case, service, repair, years, replications, seed) for case in CASES]
    return list(zip(CASES, spread(_simulate, tasks, workers=workers, progress=progress), strict=True))


def pool(replicas: int, spares: int, repair: str) -> AlternatingNodes:
    """The own cluster with the catalog's rate of faults, repair law and restart."""
    return AlternatingNodes(
        replicas,
        NODES_PER_REPLICA,
        spares,
        mtbf_h=1000.0 / number("reliability", "node_faults", "rate_per_1000_node_days") * DAY_S / HOUR_S,
        repair=repair_law(repair),
        restart_s=number("reliability", "restart", "observed_total_s"),
    )


def loss_frame(found: Sequence[tuple[LossCase, Comparison]]) -> pd.DataFrame:
    """Tidy: case, option, metric, unit, value, low, high, theory, status."""
    rows: list[dict[str, Any]] = []
    for case, comparison in found:
        for one, against in zip(comparison.paths, comparison.against_first, strict=True):
            lost = one.served
            wanted: list[tuple[str, str, Estimate, float | None]] = [
                ("time_clear_frac", "fraction", one.clear, one.theory_clear),
                ("requests_served_frac", "fraction", one.served, one.theory_served),
                ("lost_h_per_year", "h", _hours(lost), _hours_of(one.theory_served)),
                ("worst_hour_frac", "fraction", one.worst_hour, None),
                ("worst_day_frac", "fraction", one.worst_day, None),
                ("longest_outage_h", "h", one.longest_h, None),
                *(
                    (f"years_with_outage_over_{label.replace(' ', '_')}_frac", "fraction", chance, None)
                    for label, chance in one.over.items()
                ),
                *((f"lost_h_per_year: {cause}", "h", hours, None) for cause, hours in one.lost_h.items()),
            ]
            if against is not None:
                wanted.append(("saved_h_per_year_against_first", "h", against, None))
            rows += [
                {
                    "case": case.name,
                    "option": one.name,
                    "metric": metric,
                    "unit": unit,
                    "value": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "theory": theory,
                    "status": "completed",
                }
                for metric, unit, estimate, theory in wanted
            ]
    return pd.DataFrame(rows)


def _simulate(task: LossTask, progress: Progress) -> Comparison:
    barred = risk("weights_barred", task.case.customer)
    own = {
        f"own {replicas}x{NODES_PER_REPLICA}, {spares} spare": pool(replicas, spares, task.repair)
        for replicas, spares in SIZES
    }
    paths = [node_path(name, one, [barred]) for name, one in own.items()]
    paths.append(provider_path(API, provider(task.service, task.case.customer)))
    delay_s = number(TABLE, "api", "failover_detection_s")
    pairs = [FailoverPath(f"{name} > {API}", name, API, delay_s) for name in own]
    first = next(iter(own))
    pairs.append(FailoverPath(f"{API} > {first}", API, first, delay_s))
    return compare_paths(
        paths, pairs, years=task.years, replications=task.replications, seed=task.seed, progress=progress
    )


def _hours(served: Estimate) -> Estimate:
    """Hours of all requests lost in a year."""
    assert served.value is not None  # a mean over replications always has one
    low = None if served.high is None else max(0.0, (1.0 - served.high) * YEAR_H)
    high = None if served.low is None else (1.0 - served.low) * YEAR_H
    return Estimate((1.0 - served.value) * YEAR_H, low, high, served.note)


def _hours_of(served: float | None) -> float | None:
    return None if served is None else (1.0 - served) * YEAR_H
