"""One measured serving point, as published."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sim.errors import ScenarioError

COLUMNS: Final = (
    *("id", "model", "hardware", "n_gpus", "precision", "engine", "mode", "tp", "attn_dp", "ep", "pp", "spec_decode"),
    *("isl", "osl", "length_dist", "load_kind", "load_value", "n_requests"),
)
MEASURED: Final = (
    *("output_tput_per_gpu", "total_tput_per_gpu", "total_tput_per_gpu_est", "ttft_p50_ms", "ttft_mean_ms"),
    *("ttft_p99_ms", "tpot_p50_ms", "tpot_mean_ms", "e2e_p50_ms", "e2e_mean_ms"),
)


@dataclass(frozen=True, slots=True)
class MeasuredPoint:
    """One measurement of a served system.

    Attributes
    ----------
    words : columns that are words, as written; empty where the row has none.
    numbers : columns that are numbers; a column that the row leaves blank is absent.
    flags : options of the engine's command line that the note quotes, such as `mem-fraction-static`.
    """

    words: dict[str, str]
    numbers: dict[str, float]
    flags: dict[str, str]

    @property
    def name(self) -> str:
        """Its identifier in the file."""
        return self.words["id"]

    def count(self, column: str, otherwise: int = 1) -> int:
        """A column that is a whole number; `otherwise` where it is blank."""
        return round(self.numbers.get(column, otherwise))


def read_points(path: Path) -> list[MeasuredPoint]:
    """All points of a CSV with the columns `COLUMNS` and at least one of `MEASURED`.

    Raises
    ------
    ScenarioError : the file cannot be read, lacks a column, or holds a word where a number should be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot be read: {error}", file=str(path)) from None
    reader = csv.DictReader(text.splitlines())
    have = set(reader.fieldnames or ())
    missing = [column for column in COLUMNS if column not in have]
    if missing:
        raise ScenarioError("lacks a column", key=missing[0], valid=", ".join(COLUMNS), file=str(path))
    if not have & set(MEASURED):
        raise ScenarioError("has no measured column", valid=", ".join(MEASURED), file=str(path))
    points = [_point(path, line, row) for line, row in enumerate(reader, start=2)]
    if not points:
        raise ScenarioError("holds no points", file=str(path))
    return points


_NUMBERS: Final = frozenset(
    ("n_gpus", "tp", "attn_dp", "ep", "pp", "n_prefill_gpu", "n_decode_gpu", "isl", "osl", "load_value", "n_requests")
)


def _point(path: Path, line: int, row: dict[str, str]) -> MeasuredPoint:
    numbers = {}
    for column in (*_NUMBERS, *MEASURED):
        cell = (row.get(column) or "").strip()
        if not cell:
            continue
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ScenarioError(
                "is no number", key=column, value=cell, valid="a finite number", file=str(path), line=line
            )
        numbers[column] = value
    words = {column: (row.get(column) or "").strip() for column in row if column and column not in numbers}
    return MeasuredPoint(words, numbers, command_flags(words.get("note", "")))


def command_flags(note: str) -> dict[str, str]:
    """Options of a command line quoted in a note, such as `--mem-fraction-static=0.85`, without the dashes."""
    found = re.findall(r"--([a-z][a-z0-9-]*)(?:[= ](?!--)([^\s;,)]+))?", note)
    return dict(found)
