"""One self-contained page per result: no script, nothing loaded from elsewhere, the same bytes every time."""

from __future__ import annotations

import json
from typing import Any

from sim.report.assumptions import assumed_rows
from sim.report.costs import BASIS, cost_rows, ledgers, option_name
from sim.report.figures import gib, metric_figure, number, whole
from sim.report.footnotes import Footnotes
from sim.report.headline import headline
from sim.report.latency_plot import latency_svg
from sim.report.memory_plan import cache_rows, memory_rows, seats
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
    metrics_of,
    rows_of,
    warnings_of,
)
from sim.report.tenants import MEANING, TenantRow, tenant_tables
from sim.report.timeline_plot import timeline_svg
from sim.report.verdict import verdict
from sim.simulation.roles import Role, roles_of
from sim.study.result import Result

SECTIONS = (
    ("Throughput", THROUGHPUT),
    ("Utilisation", UTILISATION),
    ("Batch and cache pressure", PRESSURE),
    ("Prefill and decode pools", POOLS),
    ("Failures", FAILURES),
)
KEY = (
    ("slo_attainment_frac", "requests within the service level"),
    ("ttft_p95_s", "TTFT, 95th percentile"),
    ("tpot_p95_s", "TPOT, 95th percentile"),
    ("output_throughput_tokens_per_s", "output"),
)


def html_report(result: Result) -> str:
    """The page of a result.

    Every text from a scenario or the catalog is escaped. Pictures are inline SVG that takes the page's text colour.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sim.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(_content(result))


def _content(result: Result) -> dict[str, Any]:
    roles = roles_of(result.scenario)
    sections = [(title, rows) for title, wanted in SECTIONS if (rows := rows_of(result, wanted))]
    return {
        "result": result,
        "words": headline(result.scenario, roles[0].planned),
        "verdict": verdict(result),
        "key": _key(result),
        "warnings": warnings_of(result),
        "latencies": latency_rows(result),
        "statistics": STATISTICS,
        "latency_notes": Footnotes(item for row in latency_rows(result) for item in row.figures),
        "latency_svg": latency_svg(result),
        "fates": fates(result),
        "efforts": efforts(result),
        "tenants": _tenants(result),
        "tenants_meaning": MEANING,
        "sections": sections,
        "notes": Footnotes(row.figure for _, rows in sections for row in rows),
        "timeline_svg": timeline_svg(result),
        "costs": cost_rows(result),
        "cost_notes": Footnotes(
            item for row in cost_rows(result) for item in (row.per_output, row.per_total, row.per_year)
        ),
        "basis": BASIS,
        "model": model_rows(result),
        "model_meaning": MODEL_MEANING,
        "ledgers": [(option_name(option), lines) for option, lines in ledgers(result).items()],
        "plans": [_memory_plan(role) for role in roles],
        "assumed": assumed_rows(result.assumed_inputs),
        "provenance": list(_provenance(result)),
        "scenario_json": json.dumps(result.scenario.resolved(), indent=2, ensure_ascii=False),
        "whole": whole,
    }


def _memory_plan(role: Role) -> dict[str, Any]:
    """Memory of one GPU of a role, and what its cache holds."""
    planned, fits = role.planned, role.planned.memory.fits
    return {
        "title": f"Memory plan of a {role.noun}" if role.name else "Memory plan",
        "memory": memory_rows(planned.memory),
        "usable": gib(planned.memory.usable_bytes),
        "cache": cache_rows(planned) if fits else [],
        "seats": seats(planned, role.scenario.deployment.engine.max_num_seqs) if fits else [],
    }


def _tenants(result: Result) -> list[tuple[str, tuple[str, ...], list[TenantRow], Footnotes]]:
    """Tables of tenants and of jobs: title, head, rows, remarks."""
    return [
        (title, head, rows, Footnotes(item for row in rows for item in row.figures))
        for title, head, rows in tenant_tables(result)
    ]


def _key(result: Result) -> list[Row]:
    """The figures a reader looks for first."""
    known = metrics_of(result)
    rows = [Row(words, metric_figure(known[name])) for name, words in KEY if name in known]
    own = [row for row in cost_rows(result) if not row.option.startswith("api:")]
    if own:
        rows.append(Row(f"cost of output, {own[0].name}", own[0].per_output))
    return rows


def _provenance(result: Result) -> list[tuple[str, str]]:
    """Where the result comes from; what the manifest does not hold is left out."""
    manifest = result.manifest
    rows = [
        ("Scenario", result.scenario.name),
        ("Hash", str(manifest.get("hash", ""))),
        ("Version", str(manifest.get("version", ""))),
        ("Python", str(manifest.get("python", ""))),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in manifest.get("libraries", {}).items())),
        ("Seed", str(manifest.get("seed", ""))),
        ("Replications", str(manifest.get("replications", ""))),
        ("Created", str(manifest.get("created", ""))),
        (
            "Events",
            ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in manifest.get("events", {}).items()),
        ),
        ("Wall time", f"{number(manifest['wall_s'])} s" if "wall_s" in manifest else ""),
    ]
    return [(name, text) for name, text in rows if text]
