"""From a scenario to its result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sim.engine.cluster import Outcome
from sim.engine.recorder import ROW
from sim.measure.histogram import pooled
from sim.scenario.scenario import Scenario
from sim.simulation.check import Check, check
from sim.simulation.infeasible import Infeasible
from sim.simulation.roles import gpus_in_service
from sim.study.assumptions import assumed_inputs
from sim.study.fault_figures import fault_counts, fault_metrics
from sim.study.latency import latencies_by_replication, latency_metrics
from sim.study.manifest import manifest_of
from sim.study.metric import Metric
from sim.study.money import Money, check_prices, price
from sim.study.notes import notes
from sim.study.overload import overload
from sim.study.pools import PoolWindow, blamed, pool_metrics, pool_windows, pools_by_replication
from sim.study.rates import rate_metrics, rates_by_replication
from sim.study.replicate import replicate
from sim.study.result import CostLine, Result, Status
from sim.study.sizing import sized
from sim.study.tenants import request_tenants, tenant_metrics, tenants_by_replication
from sim.study.utilisations import utilisation_metrics
from sim.study.window import Window
from sim.study.workers import Progress, worker_count

NOT_KEPT_UP = "above capacity: depends on the length of the run"


def simulate(scenario: Scenario, *, workers: int = 0, progress: Progress | None = None) -> Result:
    """Simulate all replications of a scenario and report every figure with its interval.

    Parameters
    ----------
    workers : processes; 0 for one per core. The result does not depend on it.
    progress : called with the share simulated.

    Returns
    -------
    A scenario that cannot work is a result whose `infeasible` says why and what would.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError, TraceError : the input cannot be used.
    IdentityError : an exact identity failed, which is a defect of this package.
    """
    begun = time.perf_counter()
    found = check(scenario)
    reason = found.infeasible
    if reason is not None or found.built is None:
        if reason is not None and reason.kind == "over_capacity":
            reason = sized(scenario, reason, workers=workers)
        manifest = manifest_of(scenario, [], time.perf_counter() - begun, 1)
        return Result(scenario, "infeasible", reason, manifest=manifest)
    check_prices(scenario)
    outcomes = replicate(scenario, workers=workers, progress=progress)
    manifest = manifest_of(scenario, outcomes, time.perf_counter() - begun, worker_count(workers))
    result = summarise(scenario, found, outcomes, manifest, workers=workers)
    if scenario.run.model_uncertainty == "none":
        return result
    from sim.study.uncertainty import with_model_intervals

    result = with_model_intervals(result, workers=workers)
    wall_s = round(time.perf_counter() - begun, 3)
    return replace(result, manifest={**result.manifest, "wall_s": wall_s})


def summarise(
    scenario: Scenario, found: Check, outcomes: Sequence[Outcome], manifest: dict[str, Any], *, workers: int = 0
) -> Result:
    """The result of finished replications."""
    assert found.built is not None
    cluster = found.built.cluster
    gpus = gpus_in_service(scenario)
    windows = [Window.of(outcome, cluster, gpus) for outcome in outcomes]
    pools = pool_windows(outcomes, windows, cluster)
    behind = overload(outcomes, windows, windows[0].replicas)
    if behind is not None and pools:
        behind = blamed(behind, pools)
    elif behind is not None:
        behind = sized(scenario, behind, workers=workers)
    status: Status = "completed" if behind is None else "over_capacity"
    note = "" if behind is None else NOT_KEPT_UP
    money = price(scenario, found.planned, windows, note, pools)
    return Result(
        scenario=scenario,
        status=status,
        infeasible=behind,
        metrics=figures(scenario, outcomes, windows, pools, money, note),
        counts=counts(outcomes),
        warnings=(*notes(scenario, found, outcomes), *money.warnings, *_behind(behind)),
        assumed_inputs=assumed_inputs(scenario, found.built, money),
        ledger=tuple(_lines(money)),
        replications={
            **latencies_by_replication(outcomes),
            **rates_by_replication(windows),
            **pools_by_replication(pools),
            **tenants_by_replication(outcomes, windows),
        },
        histograms={
            name: pooled(outcome.record.histograms[name] for outcome in outcomes)
            for name in outcomes[0].record.histograms
        },
        timeline=[(float(index), *row) for index, outcome in enumerate(outcomes) for row in outcome.record.timeline],
        requests=_request_columns(outcomes),
        manifest=manifest,
    )


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Requests by fate over all replications, from the first second on; attempted = the sum of the other five fates.

    For a load of sessions, these by fate too: started = completed + abandoned + unfinished.
    """
    totals = [outcome.record.totals for outcome in outcomes]
    tallies = [outcome.sessions for outcome in outcomes if outcome.sessions.started]
    fates = ("started", "completed", "abandoned", "unfinished") if tallies else ()
    return {
        "attempted": sum(total.arrived for total in totals),
        "completed": sum(total.completed for total in totals),
        "failed": sum(total.failed for total in totals),
        "refused": sum(total.refused for total in totals),
        "abandoned": sum(total.abandoned for total in totals),
        "unfinished": sum(outcome.unfinished for outcome in outcomes),
        "measured": sum(outcome.record.histograms["e2el_s"].count for outcome in outcomes),
        "retries": sum(total.retries for total in totals),
        "timeouts": sum(total.timeouts for total in totals),
        "killed": sum(total.killed for total in totals),
        **({"throttled": throttled} if (throttled := sum(total.throttled for total in totals)) else {}),
        "preemptions": sum(total.preemptions for total in totals),
        **fault_counts(outcomes),
        **{f"sessions_{fate}": sum(getattr(tally, fate) for tally in tallies) for fate in fates},
    }


def figures(
    scenario: Scenario,
    outcomes: Sequence[Outcome],
    windows: Sequence[Window],
    pools: Sequence[PoolWindow],
    money: Money,
    note: str,
) -> tuple[Metric, ...]:
    """Every figure of the replications of a scenario."""
    return (
        *latency_metrics(scenario.name, outcomes, note),
        *rate_metrics(scenario.name, windows),
        *pool_metrics(scenario.name, pools),
        _kv_peak(scenario.name, outcomes, windows, pools),
        *utilisation_metrics(scenario, windows),
        *fault_metrics(scenario.name, outcomes),
        *money.metrics,
        *tenant_metrics(outcomes, windows, scenario.run.horizon_s, note),
    )


def _kv_peak(
    option: str, outcomes: Sequence[Outcome], windows: Sequence[Window], pools: Sequence[PoolWindow]
) -> Metric:
    """The fullest that any replica's cache was, over all replications: an exact maximum, no estimate."""
    peak = max(outcome.record.kv_peak_tokens for outcome in outcomes) / windows[0].kv_tokens
    if pools:
        both = [outcome.pools for outcome in outcomes if outcome.pools is not None]
        prefill = max(pool.prefill_peak_tokens for pool in both) / pools[0].prefill_kv_tokens
        peak = max(prefill, max(pool.decode_peak_tokens for pool in both) / pools[0].decode_kv_tokens)
    return Metric(option, "kv_used_max_frac", "fraction", peak, note="highest of all replications")


def _lines(money: Money) -> list[CostLine]:
    return [
        CostLine(option.option, line.name, line.usd_per_year, "assumed" if line.assumed else "sourced")
        for option in money.options
        for line in option.ledger.lines
    ]


def _behind(behind: Infeasible | None) -> list[str]:
    return [] if behind is None else [f"{behind.problem} {behind.smallest}"]


def _request_columns(outcomes: Sequence[Outcome]) -> dict[str, list[float]] | None:
    if outcomes[0].record.rows is None:
        return None
    rows = [(float(index), *row) for index, outcome in enumerate(outcomes) for row in outcome.record.rows or ()]
    columns = zip(*rows, strict=True) if rows else ((),) * (len(ROW) + 1)
    found = {name: list(values) for name, values in zip(("replication", *ROW), columns, strict=True)}
    if outcomes[0].record.tenants is not None:
        found["tenant"] = request_tenants(outcomes)
    return found
