"""`sim annual`: what faults do to the requests of a year, by class, and what the figures rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from sim.report.costs import option_name
from sim.report.figures import metric_figure, number, plural, quantity
from sim.report.terminal import bullets, columns, heading, paragraph, render
from sim.study.annual.annual import Annual, PartLine
from sim.study.annual.shape import Kind
from sim.study.annual.stratum import words

YEAR: Final = (
    ("slo_attainment_frac", "Requests within the service level"),
    ("slo_attainment_without_faults_frac", "  the same without faults"),
    ("bad_requests_by_faults_per_year", "Bad requests because of faults, per year"),
    ("failed_requests_by_faults_per_year", "  of these failed"),
    ("abandoned_requests_by_faults_per_year", "  of these given up by the client"),
    ("retries_by_faults_per_year", "Attempts repeated"),
    ("killed_attempts_by_faults_per_year", "Attempts lost with their replica"),
    ("lost_output_tokens_by_faults_per_year", "Output tokens lost"),
    ("recomputed_prompt_tokens_by_faults_per_year", "Prompt tokens computed in vain"),
    ("tainted_output_tokens_per_year", "Output tokens that may be wrong"),
    ("capacity_lost_replica_h_per_year", "Capacity lost, replica-hours per year"),
    ("degraded_h_per_year", "Hours per year with less than all"),
    ("down_h_per_year", "Hours per year with nobody to serve"),
    ("down_by_requests_h_per_year", "  the same as requests see it"),
    ("worst_hour_bad_mean_frac", "Bad in the worst hour of a year"),
    ("worst_hour_bad_p95_frac", "  one year in twenty is worse than"),
    ("cost_per_good_token_factor", "Cost per good token, times that without faults"),
)
COSTS: Final = {
    "cost_usd_per_mtok_output": "Cost per M good output tokens",
    "cost_usd_per_mtok_output_without_faults": "  without faults",
}
ASSUMED: Final = (
    "Faults find the cluster steady: of two within minutes, the second is taken to meet queues that have settled.",
    "Replicas of one pool are alike, and the load is that of the scenario around the clock.",
    "An outage longer than those simulated adds the steady rates of its stratum, nothing else.",
    "A year has the rates of the catalog in every year; nothing ages but what the clock of days ages.",
)


def annual_text(found: Annual) -> str:
    """Tables of the year, of causes, of strata and of responses."""
    title = f"{found.scenario.name}: {plural(found.years, 'year')} of faults"
    parts: list[RenderableType] = [paragraph(title, "bold", 0), *_year(found), *_causes(found.parts)]
    parts += [*_strata(found), *_responses(found), *_work(found)]
    if found.notes:
        parts += [heading("Notes"), *bullets(found.notes, "!")]
    return render([*parts, heading("Assumed"), *bullets(ASSUMED)])


def annual_dict(found: Annual) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "scenario": found.scenario.name,
        "years": found.years,
        "metrics": [metric.as_dict() for metric in found.metrics],
        "causes": [
            {
                "cause": line.cause,
                "order": line.order,
                "events_per_year": line.events_per_year,
                "per_year": {name: metric.as_dict() for name, metric in line.metrics.items()},
            }
            for line in found.parts
        ],
        "strata": [
            {"stratum": words(stratum), "time_frac": share, "per_s": dict(rates)}
            for stratum, (share, rates) in found.strata.items()
        ],
        "responses": [
            {
                "event": kind_words(key.kind),
                "entry": words(key.entry),
                "duration_s": item.duration_s,
                "bad_requests": float(item.excess[:, 0].mean()),
                "worst_hour_bad_frac": item.worst_hour_frac,
                "window_s": item.window_s,
                "settled": item.settled,
                "clean": item.clean,
            }
            for key, responses in found.episodes.items()
            for item in responses
        ],
        "work": dict(found.work),
        "notes": list(found.notes),
        "assumed": list(ASSUMED),
    }


def kind_words(kind: Kind) -> str:
    """Such as `hang, down, up` or `pace 1.3, pace 1`."""
    return ", ".join(
        f"{action.value} {value:g}" if value else f"{action.value} {ranks}" if ranks else action.value
        for action, value, ranks in kind
    )


def _year(found: Annual) -> list[RenderableType]:
    by_name = {metric.metric: metric for metric in found.metrics}
    rows = []
    for name, title in YEAR:
        if name in by_name:
            item = metric_figure(by_name[name])
            value = item.value.removesuffix(f" {by_name[name].unit}")
            rows.append((title, value, item.interval))
    for metric in found.metrics:
        if metric.metric in COSTS:
            item = metric_figure(metric)
            rows.append((f"{COSTS[metric.metric]}, {option_name(metric.option)}", item.value, item.interval))
    return [heading("A year"), columns(("", "", "95 % interval"), rows, "lrr")]


def _causes(lines: Sequence[PartLine]) -> list[RenderableType]:
    total = sum(line.metrics["bad"].value or 0.0 for line in lines)
    head = ("cause", "events\nper year", "bad requests\nper event", "bad requests\nper year", "95 % interval", "share")
    rows: list[Sequence[str | Text]] = []
    for order, title in ((1, "first fault at a time"), (2, "while something is lost already")):
        mine = [line for line in lines if line.order == order]
        if not mine:
            continue
        rows.append((Text(title, style="bold"), *[""] * (len(head) - 1)))
        rows += [_cause(line, total) for line in mine]
        part = sum(line.metrics["bad"].value or 0.0 for line in mine)
        often = sum(line.events_per_year for line in mine)
        rows.append(("  together", number(often), "", number(part), "", _share(part, total)))
    return [heading("By cause"), columns(head, rows, "lrrrrr")]


def _cause(line: PartLine, total: float) -> tuple[str, ...]:
    bad = line.metrics["bad"]
    item = metric_figure(bad)
    value = bad.value or 0.0
    each = number(value / line.events_per_year) if line.events_per_year > 0.0 else "-"
    return (
        f"  {line.cause}",
        number(line.events_per_year),
        each,
        item.value.removesuffix(f" {bad.unit}"),
        item.interval,
        _share(value, total),
    )


def _share(part: float, total: float) -> str:
    return quantity(part / total, "fraction") if total > 0.0 else "-"


def _strata(found: Annual) -> list[RenderableType]:
    rows = [
        (words(stratum), quantity(share, "fraction"), quantity(rates["bad"] / rates["arrived"], "fraction"))
        for stratum, (share, rates) in found.strata.items()
    ]
    return [heading("States"), columns(("replicas", "of the time", "bad requests"), rows, "lrr")]


def _responses(found: Annual) -> list[RenderableType]:
    head = ("event", "of", "bad requests", "bad in the\nworst hour", "watched\nafter it")
    rows: list[Sequence[str | Text]] = []
    for key, responses in found.episodes.items():
        rows.append((Text(f"{kind_words(key.kind)}, met {words(key.entry)}", style="bold"), *[""] * (len(head) - 1)))
        rows += [
            (
                "",
                quantity(item.duration_s, "s"),
                number(float(item.excess[:, 0].mean())),
                quantity(item.worst_hour_frac, "fraction"),
                quantity(item.window_s, "s") + ("" if item.clean else ", cut"),
            )
            for item in responses
        ]
    return [heading("Responses to one event"), columns(head, rows, "lrrrr")]


def _work(found: Annual) -> list[RenderableType]:
    work: Mapping[str, float] = found.work
    text = f"{work['engine_events']:,.0f} engine events, {number(work['cpu_s'])} s of processor time."
    if "saving" in work:
        text += (
            f" Simulating whole years instead, an interval as narrow would take about {number(work['joint_years'])} "
            f"years or {work['joint_engine_events']:,.0f} engine events: {number(work['saving'])} times the work."
        )
    return [heading("Work"), paragraph(text)]
