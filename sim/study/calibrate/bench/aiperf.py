"""CSV exports of aiperf and genai-perf: a table of statistics, a blank line, and a table of single values.

The CSV does not state the load. It is read from the JSON of the same name beside it where that is there, and else
derived by Little's law: callers = requests per second times mean latency, which is right for a closed loop to a few
per cent. Their `Inter Token Latency` is what vLLM calls TPOT.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any, Final

from sim.errors import ScenarioError
from sim.study.calibrate.bench.records import number, records
from sim.study.calibrate.bench.run import INPUT, OUTPUT, SYSTEM_TPUT, BenchRun, Read, constant, positive

HEADER: Final = re.compile(r"^\ufeff?metric,avg,", re.IGNORECASE)
UNITS_MS: Final = {"ms": 1.0, "s": 1e3, "sec": 1e3, "us": 1e-3, "ns": 1e-6}
LATENCIES: Final = {"ttft": "time to first token", "tpot": "inter token latency", "e2e": "request latency"}
LENGTHS: Final = {INPUT: "input sequence length", OUTPUT: "output sequence length"}
QUANTILES: Final = {"min": 0.0, "p1": 0.01, "p5": 0.05, "p10": 0.1, "p25": 0.25, "p50": 0.5, "p75": 0.75} | {
    "p90": 0.9,
    "p95": 0.95,
    "p99": 0.99,
    "max": 1.0,
}

Row = dict[str, float]


def recognises(text: str) -> bool:
    """Whether the text is of this format, told from its header."""
    return bool(HEADER.match(text.lstrip("\n")))


def read(text: str, file: str, path: Path) -> Read:
    """The run of a file.

    Raises
    ------
    ScenarioError : a figure that is needed is missing or no number.
    """
    table = _table(text, file)
    throughput = _value(table, "output token throughput", file)
    requests = _value(table, "request count", file, otherwise=0.0)
    latency_ms = {metric: _milliseconds(table, name, file) for metric, name in LATENCIES.items()}
    figures: dict[str, float | None] = {SYSTEM_TPUT: throughput}
    for metric, row in latency_ms.items():
        for column, key in (("p50", "p50"), ("mean", "avg"), ("p99", "p99")):
            figures[f"{metric}_{column}_ms"] = row.get(key)
    concurrency, rate_rps, note = _load(table, file, path, latency_ms["e2e"])
    if not requests:
        raise ScenarioError("is missing", key="Request Count", file=file)
    run = BenchRun(
        file,
        concurrency,
        rate_rps,
        round(requests),
        {which: _law(table, name, file) for which, name in LENGTHS.items()},
        positive(figures),
        notes=(note,) if note else (),
    )
    return [run], []


def _table(text: str, file: str) -> dict[str, tuple[str, Row]]:
    """Metric in lower case, without its unit, to (unit, figures by column)."""
    found: dict[str, tuple[str, Row]] = {}
    columns: list[str] = []
    for cells in csv.reader(StringIO(text)):
        if not any(cell.strip() for cell in cells):
            continue
        if cells[0].strip().lower().lstrip("\ufeff") == "metric":
            columns = [cell.strip().lower() for cell in cells[1:]]
            continue
        name, unit = re.match(r"^(.*?)(?:\s*\(([^)]*)\))?$", cells[0].strip().lower()).groups()  # type: ignore[union-attr]
        row = {column: _number(cell, cells[0], file) for column, cell in zip(columns, cells[1:], strict=False) if cell}
        found.setdefault(name, (unit or "", row))
    return found


def _number(cell: str, metric: str, file: str) -> float:
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        raise ScenarioError("is no number", key=metric, value=cell, file=file) from None


def _value(table: Mapping[str, tuple[str, Row]], name: str, file: str, otherwise: float | None = None) -> float:
    """A single value, or the mean of a statistic."""
    row = table.get(name, ("", {}))[1]
    value = row.get("value", row.get("avg", otherwise))
    if value is None:
        raise ScenarioError("is missing", key=name.title(), valid=", ".join(table), file=file)
    return value


def _milliseconds(table: Mapping[str, tuple[str, Row]], name: str, file: str) -> Row:
    unit, row = table.get(name, ("ms", {}))
    if unit not in UNITS_MS:
        raise ScenarioError("has an unknown unit", key=name.title(), value=unit, valid=", ".join(UNITS_MS), file=file)
    return {column: value * UNITS_MS[unit] for column, value in row.items()}


def _law(table: Mapping[str, tuple[str, Row]], name: str, file: str) -> dict[str, Any]:
    """Quantiles where the lengths differ, else the mean."""
    row = table.get(name, ("", {}))[1]
    if "avg" not in row:
        raise ScenarioError("is missing", key=name.title(), valid=", ".join(table), file=file)
    known = {share: row[column] for column, share in QUANTILES.items() if column in row}
    if len(known) < 2 or min(known.values()) == max(known.values()) or min(known.values()) < 1.0:
        return constant(row["avg"])
    return {"law": "quantiles", "probabilities": tuple(known), "tokens": tuple(known.values())}


def _load(
    table: Mapping[str, tuple[str, Row]], file: str, path: Path, e2e_ms: Row
) -> tuple[int | None, float | None, str]:
    """(callers, rate, note)."""
    beside = path.with_suffix(".json")
    if beside.is_file():
        config = records(beside.read_text(encoding="utf-8"), str(beside))[0].get("input_config")
        loadgen = config.get("loadgen") if isinstance(config, dict) else None
        if isinstance(loadgen, dict):
            callers = number(loadgen, "concurrency", str(beside))
            rate_rps = number(loadgen, "request_rate", str(beside))
            if callers or rate_rps:
                return (round(callers), None, "") if callers else (None, rate_rps, "")
    per_s = _value(table, "request throughput", file)
    if "avg" not in e2e_ms:
        raise ScenarioError(
            f"neither {beside.name} beside it nor a mean request latency tells the load",
            key="Request Latency",
            file=file,
        )
    callers = per_s * e2e_ms["avg"] / 1e3
    return max(1, round(callers)), None, f"the load of {callers:.3g} callers is derived by Little's law"
