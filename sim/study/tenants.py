"""Figures of each tenant of a mixture: counts, goodput, service level, latencies, and jobs by their due time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sim.engine.cluster import Outcome
from sim.engine.tenant_tally import LATENCIES, TenantTally, TenantTotals
from sim.stats.estimate import Estimate
from sim.stats.quantile import pooled_quantile
from sim.stats.ratio import ratio_interval
from sim.study.latency import bins_of
from sim.study.metric import Metric
from sim.study.piles import JudgedPiles, judged, tenant_window
from sim.study.window import Window

OPTION = "tenant:"  # before the name of a tenant, where a metric names what it belongs to
FATES = ("attempted", "completed", "failed", "refused", "abandoned", "unfinished")
RATES = (
    ("request_throughput_rps", "requests/s"),
    ("goodput_rps", "requests/s"),
    ("output_throughput_tokens_per_s", "tokens/s"),
    ("input_throughput_tokens_per_s", "tokens/s"),
    ("slo_attainment_frac", "fraction"),
)
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One tenant in one replication: counters of the whole run and of the measured window, and its length."""

    whole: TenantTotals
    window: TenantTotals
    seconds: float


def tenant_metrics(
    outcomes: Sequence[Outcome], windows: Sequence[Window], horizon_s: float, note: str = ""
) -> Iterator[Metric]:
    """Every figure of every tenant, under the option `tenant:NAME`; nothing for a load without tenants.

    Counts are those of all replications from the first second on, exact; rates and the share within the service level
    those of the measured window, latencies those of requests that arrive after the warm-up.
    """
    tally = outcomes[0].record.tenants
    if tally is None:
        return
    for tenant, name in enumerate(tally.names):
        option = f"{OPTION}{name}"
        seen = _seen(outcomes, windows, tenant)
        for fate in FATES:
            yield Metric(option, fate, "requests", float(sum(_fate(item.whole, fate) for item in seen)))
        for metric, unit in RATES:
            tops, bottoms = zip(*(_ratio(item, metric) for item in seen), strict=True)
            yield Metric.of(option, metric, unit, _estimate(tops, bottoms, "no request ended"))
        for latency in LATENCIES:
            histograms = [_tally(outcome).histograms[tenant][latency] for outcome in outcomes]
            bins = bins_of(histograms)
            for p in QUANTILES:
                metric = f"{latency.removesuffix('_s')}_p{100 * p:g}_s"
                yield Metric.of(option, metric, "s", pooled_quantile(bins, p), note)
        yield from _jobs(option, outcomes, tenant, horizon_s)


def tenants_by_replication(outcomes: Sequence[Outcome], windows: Sequence[Window]) -> dict[str, list[float]]:
    """Rates and latencies of every tenant, one value per replication, as {`tenant:NAME/metric`: values}."""
    tally = outcomes[0].record.tenants
    found: dict[str, list[float]] = {}
    for tenant, name in enumerate(() if tally is None else tally.names):
        for item in _seen(outcomes, windows, tenant):
            for metric, _ in RATES:
                top, bottom = _ratio(item, metric)
                value = top / bottom if bottom > 0.0 else float("nan")
                found.setdefault(f"{OPTION}{name}/{metric}", []).append(value)
        for latency in LATENCIES:
            for p in QUANTILES:
                key = f"{OPTION}{name}/{latency.removesuffix('_s')}_p{100 * p:g}_s"
                each = (pooled_quantile(bins_of([_tally(o).histograms[tenant][latency]]), p).value for o in outcomes)
                found[key] = [float("nan") if value is None else value for value in each]
    return found


def request_tenants(outcomes: Sequence[Outcome]) -> list[float]:
    """Index of the tenant of each kept request row, in the order of the rows of all replications."""
    return [float(tenant) for outcome in outcomes for tenant in _tally(outcome).rows or ()]


def _jobs(option: str, outcomes: Sequence[Outcome], tenant: int, horizon_s: float) -> Iterator[Metric]:
    """Jobs against their due times; nothing for a tenant without piles."""
    each = [judged(outcome, tenant, horizon_s) for outcome in outcomes]
    if not any(item.piles for item in each):
        return
    yield Metric(option, "jobs", "jobs", float(sum(item.released_jobs for item in each)))
    yield Metric(option, "jobs_completed", "jobs", float(sum(item.done for item in each)))
    undue = "no pile was due before the end of the run"
    on_time = [float(item.on_time) for item in each]
    yield Metric.of(
        option, "jobs_on_time_frac", "fraction", _estimate(on_time, [float(item.jobs) for item in each], undue)
    )
    yield Metric.of(option, "pile_completion_mean_s", "s", _completion(each, undue))
    histograms = [_tally(outcome).piles.lateness_s[tenant] for outcome in outcomes if _has(outcome, tenant)]
    latest = max((item.maximum for item in histograms if item.count), default=None)
    yield Metric(option, "job_lateness_max_s", "s", latest, note="" if latest is not None else "no job completed")
    note = "of completed jobs only" if any(item.done < item.released_jobs for item in each) else ""
    yield Metric.of(option, "job_lateness_p95_s", "s", pooled_quantile(bins_of(histograms), 0.95), note)


def _has(outcome: Outcome, tenant: int) -> bool:
    return tenant in _tally(outcome).piles.lateness_s


def _completion(each: Sequence[JudgedPiles], undue: str) -> Estimate:
    """Mean time from release to last completion; none where a pile is incomplete, which would make it look short."""
    due, complete = sum(item.due for item in each), sum(item.complete for item in each)
    if complete < due:
        return Estimate(None, note=f"{due - complete:,} of {due:,} piles that were due were not complete at the end")
    return _estimate([item.completion_s for item in each], [float(item.due) for item in each], undue)


def _estimate(tops: Sequence[float], bottoms: Sequence[float], nothing: str) -> Estimate:
    kept = [(top, bottom) for top, bottom in zip(tops, bottoms, strict=True) if bottom > 0.0]
    if not kept:
        return Estimate(None, note=nothing)
    return ratio_interval([top for top, _ in kept], [bottom for _, bottom in kept])


def _seen(outcomes: Sequence[Outcome], windows: Sequence[Window], tenant: int) -> list[_Seen]:
    return [
        _Seen(_tally(outcome).totals[tenant], tenant_window(outcome, window, tenant), window.seconds)
        for outcome, window in zip(outcomes, windows, strict=True)
    ]


def _tally(outcome: Outcome) -> TenantTally:
    tally = outcome.record.tenants
    assert tally is not None, "asked for only where the load has tenants"
    return tally


def _fate(totals: TenantTotals, fate: str) -> int:
    if fate == "attempted":
        return totals.arrived
    return totals.arrived - totals.ended if fate == "unfinished" else int(getattr(totals, fate))


def _ratio(item: _Seen, metric: str) -> tuple[float, float]:
    window = item.window
    if metric == "slo_attainment_frac":
        return float(window.good), float(window.ended)
    tops = {
        "request_throughput_rps": window.completed,
        "goodput_rps": window.good,
        "output_throughput_tokens_per_s": window.delivered_tokens,
        "input_throughput_tokens_per_s": window.input_tokens_completed,
    }
    return float(tops[metric]), item.seconds
