"""`sim run`: the summary of a result for a person who has not read the code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from sim.report.assumptions import assumed_rows
from sim.report.costs import BASIS, CostRow, cost_rows
from sim.report.figures import Figure, number, plural
from sim.report.footnotes import Footnotes
from sim.report.headline import headline
from sim.report.model import MODEL_MEANING, model_rows
from sim.report.sections import (
    FAILURES,
    POOLS,
    PRESSURE,
    STATISTICS,
    THROUGHPUT,
    UTILISATION,
    Row,
    efforts,
    fates,
    latency_rows,
    rows_of,
    warnings_of,
)
from sim.report.tenants import MEANING, tenant_tables
from sim.report.terminal import bullets, columns, heading, paragraph, render, two_lines
from sim.report.verdict import Verdict, verdict
from sim.simulation.roles import roles_of
from sim.study.result import Result

SHOWN_ASSUMPTIONS: Final = 8
_COLOURS: Final = {"good": "bold green", "open": "bold yellow", "bad": "bold red"}
SECTIONS: Final = (
    ("Throughput", THROUGHPUT),
    ("Utilisation", UTILISATION),
    ("Batch and cache", PRESSURE),
    ("Prefill and decode pools", POOLS),
    ("Failures", FAILURES),
)


def run_text(result: Result, path: Path, cached: bool) -> str:
    """The summary: verdict first, then latencies, throughput, failures, cost, and what they rest on.

    Parameters
    ----------
    path : run directory that holds everything else.
    cached : whether the result was read from there instead of simulated.
    """
    words = headline(result.scenario, roles_of(result.scenario)[0].planned)
    parts: list[RenderableType] = [
        paragraph(f"{result.scenario.name}: {words.system}", "bold", 0),
        paragraph(words.layout, "dim", 0),
        paragraph(f"Load: {words.load}", "dim", 0),
    ]
    if result.metrics:
        parts.append(paragraph(words.extent, "dim", 0))
    parts += _verdict(verdict(result))
    parts += [*_latencies(result), *_tenants(result), *_figures(result), *_costs(result), *_model(result)]
    if warnings := warnings_of(result):
        parts += [heading("Warnings"), *bullets(warnings, "!")]
    parts += [*_assumptions(result, path), *_files(result, path, cached)]
    return render(parts)


def _verdict(found: Verdict) -> list[RenderableType]:
    colour = _COLOURS[found.level]
    parts: list[RenderableType] = [Text(f"\n{found.title}.", style=colour), paragraph(found.sentence)]
    return [*parts, paragraph(found.fix, "bold")] if found.fix else parts


def _latencies(result: Result) -> list[RenderableType]:
    rows = latency_rows(result)
    if not rows:
        return []
    notes = Footnotes(item for row in rows for item in row.figures)
    cells: list[list[str | Text]] = [[row.name, *(_cell(item, notes) for item in row.figures)] for row in rows]
    parts = [heading("Latency"), columns(("", *STATISTICS), cells, "llllll")]
    parts += [paragraph(line, "dim") for line in notes.lines]
    parts.append(paragraph(f"Requests: {fates(result)}."))
    if also := efforts(result):
        parts.append(paragraph(f"Also: {also}."))
    return parts


def _tenants(result: Result) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for title, head, rows in tenant_tables(result):
        notes = Footnotes(item for row in rows for item in row.figures)
        cells: list[list[str | Text]] = [
            [row.name, *row.counts, *(_cell(item, notes) for item in row.figures)] for row in rows
        ]
        parts += [heading(title), columns(head, cells, "l" * len(head))]
        parts += [paragraph(line, "dim") for line in notes.lines]
    return [*parts, paragraph(MEANING, "dim")] if parts else []


def _cell(item: Figure, notes: Footnotes) -> Text:
    return two_lines(f"{item.value}{notes.mark(item)}", item.interval)


def _figures(result: Result) -> list[RenderableType]:
    """The sections of single figures under one head, so that their columns line up."""
    filled = [(title, rows) for title, wanted in SECTIONS if (rows := rows_of(result, wanted))]
    if not filled:
        return []
    notes = Footnotes(row.figure for _, rows in filled for row in rows)
    cells: list[Sequence[str | Text]] = []
    for title, rows in filled:
        cells += [(Text(title, style="bold"), "", ""), *(_line(row, notes) for row in rows)]
    parts = [heading("Behaviour"), columns(("", "", "95 % interval"), cells, "lrr")]
    return parts + [paragraph(line, "dim") for line in notes.lines]


def _line(row: Row, notes: Footnotes) -> tuple[str, str, str]:
    return f"  {row.name}", row.figure.value, f"{row.figure.interval}{notes.mark(row.figure)}"


def _costs(result: Result) -> list[RenderableType]:
    rows = cost_rows(result)
    if not rows:
        return []
    notes = Footnotes(item for row in rows for item in (row.per_output, row.per_total, row.per_year))
    head = (
        "",
        "per M\noutput tokens",
        "per M tokens\nin and out",
        "per year",
        "per\nGPU-h",
        "per year above\nthe cheapest",
    )
    cells = [_cost_cells(row, notes) for row in rows]
    parts = [heading("Cost"), columns(head, cells, "llllll")]
    parts += [paragraph(line, "dim") for line in (*notes.lines, BASIS)]
    return parts


def _cost_cells(row: CostRow, notes: Footnotes) -> tuple[str | Text, ...]:
    hourly = "" if row.per_gpu_hour.value == "n/a" else row.per_gpu_hour.value.removesuffix("/GPU-h")
    return (
        row.name,
        _money(row.per_output, "/Mtok", notes),
        _money(row.per_total, "/Mtok", notes),
        f"{row.per_year.value.removesuffix('/year')}{notes.mark(row.per_year)}",
        hourly,
        row.difference_per_year.removesuffix("/year"),
    )


def _money(item: Figure, unit: str, notes: Footnotes) -> Text:
    return two_lines(f"{item.value.removesuffix(unit)}{notes.mark(item)}", item.interval)


def _model(result: Result) -> list[RenderableType]:
    rows = model_rows(result)
    if not rows:
        return []
    cells = [(row.name, row.value, row.sampling, row.model) for row in rows]
    head = ("", "", "95 % sampling\ninterval", "80 % model\ninterval")
    parts = [heading("Model uncertainty"), columns(head, cells, "lrrr")]
    return [*parts, paragraph(MODEL_MEANING, "dim")]


def _assumptions(result: Result, path: Path) -> list[RenderableType]:
    rows = assumed_rows(result.assumed_inputs)
    if not rows:
        return []
    shown = [(row.name, row.value, row.span) for row in rows[:SHOWN_ASSUMPTIONS]]
    parts = [heading(f"Assumed inputs: {len(rows)} without a measurement or publication behind them")]
    parts.append(columns(("input", "value", "range"), shown, "lll", wrap=(1,)))
    if len(rows) > len(shown):
        more = f"and {len(rows) - len(shown)} more, all with their sources, in {path / 'manifest.json'}"
        parts.append(paragraph(more, "dim"))
    return parts


def _files(result: Result, path: Path, cached: bool) -> list[RenderableType]:
    wall_s, events = result.manifest.get("wall_s"), result.manifest.get("events", {})
    spent = "read from there: nothing has changed since it was simulated" if cached else ""
    if not cached and wall_s is not None and events.get("requests"):
        work = f"{plural(events['requests'], 'request')}, {plural(events['engine_steps'], 'engine step')}"
        spent = f"simulated in {number(wall_s)} s ({work})"
    return [Text(""), paragraph(f"Run directory: {path}" + (f", {spent}" if spent else ""), indent=0)]
