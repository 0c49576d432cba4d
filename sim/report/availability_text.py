"""`sim availability`: replicas up over the years, what takes them, what spares do, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import Any, Final

from rich.console import RenderableType

from sim.report.assumptions import assumed_rows
from sim.report.figures import figure, metric_figure, number, plural, quantity
from sim.report.terminal import bullets, columns, heading, pairs, paragraph, render
from sim.stats.estimate import Estimate
from sim.study.assumed import AssumedInput, assumed_only
from sim.study.assumed_faults import fleet_facts
from sim.study.availability.availability import Availability
from sim.study.availability.causes import CauseLine
from sim.study.availability.spares import SparesLine

FIGURES: Final = (
    ("short_h_per_year", "Hours per year without"),
    ("short_h_per_year_p50", "  half of all fleets have less than"),
    ("short_h_per_year_p95", "  one fleet in twenty has more than"),
    ("outages_per_year", "Outages per year"),
    ("mean_outage_min", "  of a mean length of"),
    ("longest_dark_h", "Longest time without any replica, in its life"),
    ("capacity_frac", "Capacity there, in the mean"),
    ("slow_replica_h_per_year", "Slow, replica-hours per year"),
    ("tainted_replica_h_per_year", "Undetected wrong results, replica-hours per year"),
    ("node_available_frac", "Nodes not under repair"),
    ("replica_faults_per_year", "Faults that take a replica, per year"),
)
ON_CALL: Final = (
    ("pages_per_month", "Events per month"),
    ("planned_per_month", "Replicas taken for planned work per month"),
    ("hands_on_h_per_month", "Hours of hands-on work per month"),
    ("refailed_per_year", "Repairs that did not hold, per year"),
    ("replaced_nodes_per_year", "Nodes replaced as lemons, per year"),
    ("rented_node_h_per_year", "Rented node-hours per year"),
    ("doubled_node_h_per_year", "Node-hours beside others for blue-green, per year"),
)
SPARES_HEAD: Final = (
    "spare\nnodes",
    "available",
    "95 % interval",
    "hours short\nper year",
    "one fleet in\n20 has more",
    "nodes\ncomplete",
    "theory:\nnodes",
    "theory:\navailable",
)
CAUSE_HEAD: Final = (
    "cause",
    "events\nper year",
    "replica-hours\ndown per year",
    "95 % interval",
    "share",
    "pauses, h",
    "slow, h",
)
NOTES: Final = (
    "Available: as many replicas as are needed take requests; those that drain, hang, restart or wait do not.",
    (
        "Theory: independent nodes that are all alike, a crew for each, spares pooled; for all replicas. Nodes: share "
        "of time with enough of them. Available: less detection, restart and planned work, to first order."
    ),
    "No public figures exist for failures of inference fleets: rates come from training clusters.",
    "Requests are not simulated here; `sim annual` says what a year does to them.",
)
ELASTIC: Final = (
    "Elastic expert parallelism: a replica that has lost ranks counts as available, with less capacity; a restart asks "
    "for all of its nodes. Theory is without elasticity."
)
MOST_ASSUMED: Final = 12
MOST_DECIMALS: Final = 7
PERCENT: Final = 100.0


def availability_text(found: Availability) -> str:
    """Tables of the fleet's life."""
    title = f"{found.scenario.name}: {_fleet(found)}, {plural(found.fleets, 'fleet')} over {number(found.years)} years"
    parts: list[RenderableType] = [paragraph(title, "bold", 0), *_headline(found), *_law(found)]
    parts += [heading("Figures"), _table(found, FIGURES), *_spares(found), *_causes(found.causes)]
    parts += [heading("States"), _states(found), heading("On call"), _table(found, ON_CALL), *_what_ifs(found)]
    return render([*parts, *_assumed(found), heading("Notes"), *bullets(_notes(found))])


def availability_dict(found: Availability) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "scenario": found.scenario.name,
        "needed": found.needed,
        "fleets": found.fleets,
        "years": found.years,
        "metrics": [metric.as_dict() for metric in found.metrics],
        "at_least": [{"replicas": count, **_plain(share)} for count, share in enumerate(found.law)],
        "states": {state.name.lower(): _plain(hours) for state, hours in found.states.items()},
        "causes": [
            {
                "cause": line.cause,
                "kind": line.kind,
                "events_per_year": _plain(line.events),
                "replica_faults_per_year": _plain(line.hits),
                "down_replica_h_per_year": _plain(line.down_h),
                "pause_replica_h_per_year": _plain(line.pause_h),
                "slow_replica_h_per_year": _plain(line.slow_h),
            }
            for line in found.causes
        ],
        "spares": [_spares_dict(line) for line in found.spares],
        "what_ifs": [
            {
                "name": item.name,
                "changes": dict(item.changes),
                "available_frac": _plain(item.up_frac),
                "short_h_per_year": _plain(item.short_h),
            }
            for item in found.what_ifs
        ],
        "assumed": [item.as_dict() for item in _assumed_inputs(found)],
        "notes": _notes(found),
    }


def _spares_dict(line: SparesLine) -> dict[str, Any]:
    row: dict[str, Any] = {
        "spares": line.spares,
        "available_frac": _plain(line.up_frac),
        "nodes_complete_frac": _plain(line.nodes_frac),
        "short_h_per_year": _plain(line.short_h),
        "short_h_per_year_p50": line.short_h_quantiles[0],
        "short_h_per_year_p95": line.short_h_quantiles[1],
        "theory": {
            "law": line.theory.law,
            "node_available_frac": line.theory.node_frac,
            "nodes_complete_frac": line.theory.nodes_frac,
            "available_frac": line.theory.all_up_frac,
        },
    }
    if line.trace is not None:
        row["trace"] = {"all_sets_frac": line.trace.all_sets, "binomial_frac": line.trace.binomial}
    return row


def _notes(found: Availability) -> list[str]:
    return [*NOTES, *([ELASTIC] if found.plan.elastic is not None else [])]


def _plain(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "note": estimate.note}


def _fleet(found: Availability) -> str:
    plan = found.plan
    spares = plural(plan.spares.count, "spare")
    return f"{plural(len(plan.nodes), 'replica')} on {plural(plan.in_service, 'node')}, {spares}"


def _needed(found: Availability) -> str:
    replicas = len(found.plan.nodes)
    if found.needed == replicas:
        return "The replica is up" if replicas == 1 else f"All {replicas} replicas are up"
    return f"At least {found.needed} of {replicas} replicas are up"


def _headline(found: Availability) -> list[RenderableType]:
    own = next(line for line in found.spares if line.spares == found.plan.spares.count)
    sentences = [f"{_needed(found)} {_percent(own.up_frac)} of the time: {_hours(own.short_h)} hours a year without."]
    more = next((line for line in found.spares if line.spares == own.spares + 1), None)
    if more is not None:
        sentences.append(f"One spare node more: {_percent(more.up_frac)}, {_hours(more.short_h)} hours a year without.")
    return [*bullets(sentences)]


def share_of_time(estimate: Estimate) -> tuple[str, str]:
    """An availability and its interval, in percent, to two digits of what is missing to 100 %."""
    if estimate.value is None:
        return "n/a", ""
    missing = PERCENT * (1.0 - estimate.value)
    decimals = min(MOST_DECIMALS, max(2, 1 - floor(log10(missing)))) if missing > 0.0 else 2
    ends = [end for end in (estimate.low, estimate.high) if end is not None]
    words = " to ".join(f"{PERCENT * min(end, 1.0):.{decimals}f}" for end in ends)
    return f"{PERCENT * estimate.value:.{decimals}f} %", words


def _percent(estimate: Estimate) -> str:
    value, interval = share_of_time(estimate)
    return f"{value} [{interval}]" if interval else value


def _hours(estimate: Estimate) -> str:
    return figure(estimate.value, "", estimate.low, estimate.high).text


def _law(found: Availability) -> list[RenderableType]:
    rows = []
    for count in range(len(found.plan.nodes), 0, -1):
        share = found.law[count]
        words = f"{count} or more" if count < len(found.plan.nodes) else f"all {count}"
        rows.append((words, *share_of_time(share)))
    if len(rows) == 1:
        return []
    return [heading("Replicas that take requests"), columns(("", "of the time", "95 % interval"), rows, "lrr")]


def _table(found: Availability, names: Sequence[tuple[str, str]]) -> RenderableType:
    by_name = {metric.metric: metric for metric in found.metrics}
    rows = []
    for name, title in names:
        metric = by_name[name]
        if not metric.value and name.startswith(("replaced", "rented", "doubled", "tainted")):
            continue
        if metric.unit == "fraction":
            rows.append((title, *share_of_time(Estimate(metric.value, metric.low, metric.high))))
            continue
        item = metric_figure(metric)
        value = item.value.removesuffix(f" {metric.unit}") if "/" in metric.unit else item.value
        rows.append((title, value if item.value != "n/a" else item.text, item.interval))
    return columns(("", "", "95 % interval"), rows, "lrr")


def _spares(found: Availability) -> list[RenderableType]:
    head: tuple[str, ...] = SPARES_HEAD
    if found.trace is not None:
        head = (*SPARES_HEAD, "trace:\nnodes")
    rows = []
    for line in found.spares:
        value, interval = share_of_time(line.up_frac)
        hours = figure(line.short_h.value, "", line.short_h.low, line.short_h.high)
        row = [
            f"{line.spares}" + (" *" if line.spares == found.plan.spares.count else ""),
            value,
            interval,
            hours.value,
            number(line.short_h_quantiles[1]),
            _share(line.nodes_frac.value),
            _share(line.theory.nodes_frac),
            _share(line.theory.all_up_frac),
        ]
        if line.trace is not None:
            row.append(_share(line.trace.all_sets))
        rows.append(row)
    note = f"* as in the scenario; theory: {found.spares[-1].theory.law}"
    if found.needed < len(found.plan.nodes):
        note += f", for all {len(found.plan.nodes)} replicas, not for {found.needed}"
    return [heading("Spare nodes"), columns(head, rows, "lrrrrrrrr", gap=1), paragraph(note)]


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.5f}"


def _causes(lines: Sequence[CauseLine]) -> list[RenderableType]:
    total = sum(line.down_h.value or 0.0 for line in lines)
    rows = []
    for line in lines:
        item = figure(line.down_h.value, "", line.down_h.low, line.down_h.high)
        share = (line.down_h.value or 0.0) / total if total else 0.0
        rows.append(
            (
                line.cause + ("" if line.kind == "fault" else f" ({line.kind})"),
                number(line.events.value or 0.0),
                item.value,
                item.interval,
                quantity(share, "fraction"),
                number(line.pause_h.value or 0.0),
                number(line.slow_h.value or 0.0),
            )
        )
    return [heading("Downtime by cause, the whole fleet"), columns(CAUSE_HEAD, rows, "lrrrrrr")]


def _states(found: Availability) -> RenderableType:
    total = sum(hours.value or 0.0 for hours in found.states.values())
    rows = []
    for state, hours in found.states.items():
        if hours.value:
            item = figure(hours.value, "", hours.low, hours.high)
            rows.append((state.name.lower(), item.value, item.interval, quantity(hours.value / total, "fraction")))
    return columns(("state", "replica-hours per year", "95 % interval", "share"), rows, "lrrr")


def _what_ifs(found: Availability) -> list[RenderableType]:
    if not found.what_ifs:
        return []
    rows = []
    for item in found.what_ifs:
        hours = figure(item.short_h.value, "", item.short_h.low, item.short_h.high)
        rows.append((item.name, *share_of_time(item.up_frac), hours.value))
    head = ("what if", "available", "95 % interval", "hours short\nper year")
    return [heading("What it rests on, same random streams"), columns(head, rows, "lrrr")]


def _assumed_inputs(found: Availability) -> tuple[AssumedInput, ...]:
    return assumed_only(fleet_facts(found.scenario, found.plan))


def _assumed(found: Availability) -> list[RenderableType]:
    rows = assumed_rows(_assumed_inputs(found))
    shown = [(row.name.removeprefix("reliability."), _range(row.value, row.span)) for row in rows[:MOST_ASSUMED]]
    title = f"Assumed inputs: {len(rows)}, those with the widest range first"
    more = f"All: sim catalog reliability, or --json. {len(rows) - len(shown)} more." if len(rows) > len(shown) else ""
    return [heading(title), pairs(shown, 40), *([paragraph(more)] if more else [])]


def _range(value: str, span: str) -> str:
    return f"{value} ({span})" if span else value
