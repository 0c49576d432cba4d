"""Inputs that nobody has measured, those that matter most first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sim.report.figures import plain_number
from sim.study.assumed import AssumedInput

TABLES: Final = ("prices", "models", "workloads", "reliability", "speculation", "engines", "nodes", "gpus", "kernels")


@dataclass(frozen=True, slots=True)
class AssumedRow:
    """One assumed input, ready to print."""

    name: str
    value: str
    span: str
    source: str


def assumed_rows(items: Iterable[AssumedInput]) -> list[AssumedRow]:
    """Inputs with a wide range first, then those without one, by table."""
    ordered = sorted(items, key=lambda item: (-_spread(item), _table(item), item.name))
    return [AssumedRow(item.name, _shown(item.value, item.unit), _span(item), item.source) for item in ordered]


def _spread(item: AssumedInput) -> float:
    """Width of the range over the value, capped; 0 without a range."""
    if isinstance(item.value, str) or item.low is None or item.high is None:
        return 0.0
    return min(10.0, (item.high - item.low) / abs(item.value)) if item.value else 10.0


def _table(item: AssumedInput) -> int:
    table = item.name.partition(".")[0]
    return TABLES.index(table) if table in TABLES else len(TABLES)


def _shown(value: float | str, unit: str) -> str:
    text = value if isinstance(value, str) else plain_number(value)
    return text if unit in {"-", ""} else f"{text} {unit}"


def _span(item: AssumedInput) -> str:
    if item.low is None or item.high is None:
        return ""
    return f"{plain_number(item.low)} to {plain_number(item.high)}"
