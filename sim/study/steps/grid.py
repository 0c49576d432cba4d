"""Step times exported from NVIDIA AIConfigurator as a table of steps.

The export is a CSV with one step per row: `phase` (`decode` or `prefill`), `step_ms`, and for decode `batch_per_rank`
and `ctx_tokens`, for prefill `new_tokens_per_rank` and `prefix_tokens`. Further columns (`model`, `backend`, `config`,
...) say what was asked; all that differ must be pinned, so that no table mixes two systems. The seconds are sums of
kernels: a scenario uses them with `step_times_scope: kernels`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Final

from sim.errors import ScenarioError, nearest
from sim.steptime.step_rows import StepRow
from sim.units import MILLISECOND

STEP: Final = {
    "decode": ("batch_per_rank", "ctx_tokens"),
    "prefill": ("new_tokens_per_rank", "prefix_tokens"),
}
NAMING: Final = ("model", "system", "backend", "db_version", "config", "moe_path")
"""Columns that name the system a step was asked of."""

Cells = dict[str, str]


def grid_rows(path: Path, where: Mapping[str, str]) -> list[StepRow]:
    """The steps of one system in an export.

    Parameters
    ----------
    where : column to value, such as `{"model": "DeepSeek-V3", "config": "dp16ep16"}`.

    Raises
    ------
    ScenarioError : the file cannot be read, has other columns, no row fits, or rows of several systems do.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            table = [(reader.line_num, row) for row in reader]
            columns = tuple(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot be read: {error}", file=str(path)) from None
    for needed in ("phase", "step_ms", *STEP["decode"], *STEP["prefill"]):
        if needed not in columns:
            raise ScenarioError("lacks a column of the export", key=needed, valid=", ".join(columns), file=str(path))
    for key in where:
        if key not in columns:
            raise ScenarioError(
                "is no column", key=key, valid=", ".join(columns), nearest=nearest(key, columns), file=str(path)
            )
    chosen = [(line, row) for line, row in table if all(row[key] == value for key, value in where.items())]
    _refuse_mixtures(path, [row for _, row in chosen], [row for _, row in table], where)
    return [_step(path, line, row) for line, row in chosen]


def _refuse_mixtures(path: Path, chosen: list[Cells], table: list[Cells], where: Mapping[str, str]) -> None:
    if not chosen:
        values = {key: sorted({row[key] for row in table}) for key in where}
        valid = "; ".join(f"{key}: {', '.join(known)}" for key, known in values.items())
        raise ScenarioError("no row fits", value=dict(where), valid=valid, file=str(path))
    for key in NAMING:
        found = sorted({row[key] for row in chosen if key in row})
        if len(found) > 1:
            raise ScenarioError(
                f"rows of {len(found)} values fit, and a table is of one system: pin it",
                key=key,
                valid=", ".join(found),
                file=str(path),
            )


def _step(path: Path, line: int, row: Cells) -> StepRow:
    phase = row["phase"]
    if phase not in STEP:
        raise ScenarioError("is no phase", key="phase", value=phase, valid="decode, prefill", file=str(path), line=line)
    first, second = (_number(path, line, row, column) for column in STEP[phase])
    seconds = _number(path, line, row, "step_ms") * MILLISECOND
    if phase == "decode":
        return StepRow(int(first), int(second), 0, 0, seconds, line)
    return StepRow(0, 0, int(first), int(second), seconds, line)


def _number(path: Path, line: int, row: Cells, column: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = float("nan")
    if not isfinite(value) or value < 0.0 or (column != "prefix_tokens" and not value):
        raise ScenarioError("is no positive number", key=column, value=row[column], file=str(path), line=line)
    return value
