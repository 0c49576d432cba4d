"""The tenants of a mixture side by side, and how far their piles of jobs came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sim.report.figures import Figure, metric_figure, plain_number, whole
from sim.study.metric import Metric
from sim.study.result import Result
from sim.study.tenants import OPTION

HEAD: Final = (
    "",
    "attempted",
    "completed",
    "lost",
    "within\nits limits",
    "goodput,\nrequests/s",
    "TTFT p50",
    "TTFT p95",
)
FIGURES: Final = ("slo_attainment_frac", "goodput_rps", "ttft_p50_s", "ttft_p95_s")
JOBS_HEAD: Final = ("", "jobs", "completed", "due ones\non time", "pile complete\nafter", "latest", "late, p95")
JOBS_FIGURES: Final = ("jobs_on_time_frac", "pile_completion_mean_s", "job_lateness_max_s", "job_lateness_p95_s")
LOST: Final = ("failed", "refused", "abandoned")
MEANING: Final = (
    "Lost: failed, refused or abandoned. Counts include the warm-up. A job is within its limits if it was complete by "
    "its due time."
)


@dataclass(frozen=True, slots=True)
class TenantRow:
    """One tenant: counts as words, then figures."""

    name: str
    counts: tuple[str, ...]
    figures: tuple[Figure, ...]


def tenant_rows(result: Result) -> list[TenantRow]:
    """One row per tenant where there is more than one, in the order of `HEAD`."""
    tenants = _by_tenant(result)
    if len(tenants) < 2:
        return []
    return [
        TenantRow(
            name,
            (
                _count(known, "attempted"),
                _count(known, "completed"),
                whole(sum(known[fate].value or 0.0 for fate in LOST)),
            ),
            tuple(_without_rate(metric_figure(known[metric])) for metric in FIGURES),
        )
        for name, known in tenants.items()
    ]


def job_rows(result: Result) -> list[TenantRow]:
    """One row per tenant that has piles of jobs, in the order of `JOBS_HEAD`."""
    return [
        TenantRow(
            name,
            (_count(known, "jobs"), _count(known, "jobs_completed")),
            tuple(metric_figure(known[metric]) for metric in JOBS_FIGURES),
        )
        for name, known in _by_tenant(result).items()
        if "jobs" in known
    ]


def tenant_tables(result: Result) -> list[tuple[str, tuple[str, ...], list[TenantRow]]]:
    """Title, head and rows of the tables that the result has something to say in."""
    tables = [("Tenants", HEAD, tenant_rows(result)), ("Jobs and their due times", JOBS_HEAD, job_rows(result))]
    return [table for table in tables if table[2]]


def worst_tenant(result: Result) -> tuple[str, Metric, float] | None:
    """The tenant with the smallest share of requests within its limits, and that share; None where nothing is known."""
    tenants = _by_tenant(result)
    shares = [(name, known["slo_attainment_frac"]) for name, known in tenants.items()]
    given = [(item.value, name, item) for name, item in shares if item.value is not None]
    if len(tenants) < 2 or not given:
        return None
    value, name, item = min(given, key=lambda entry: entry[0])
    return name, item, value


def tenant_sentence(name: str, share: Metric, target_frac: float) -> str:
    """What a tenant falls short of."""
    return (
        f"Of the requests of {name}, {metric_figure(share).text} met their limits, the target being "
        f"{plain_number(100 * target_frac)} %."
    )


def _without_rate(figure: Figure) -> Figure:
    """The figure without the unit that the head of its column gives."""
    return replace(figure, value=figure.value.removesuffix(" requests/s"))


def _by_tenant(result: Result) -> dict[str, dict[str, Metric]]:
    found: dict[str, dict[str, Metric]] = {}
    for item in result.metrics:
        if item.option.startswith(OPTION):
            found.setdefault(item.option.removeprefix(OPTION), {})[item.metric] = item
    return found


def _count(known: dict[str, Metric], name: str) -> str:
    return whole(known[name].value or 0.0)
