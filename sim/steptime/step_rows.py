"""Measured step times as a CSV: one engine step per row.

Columns: `decode_seqs` (sequences that decode, per attention rank and pipeline microbatch), `context_tokens` (mean
context of each, the token being computed included), `prefill_tokens` (prompt tokens computed in the step), `seconds`,
and optionally `prefix_tokens` (mean tokens before those of the prompt that are computed already). Other columns are
left alone.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final

from sim.errors import ScenarioError

COLUMNS: Final = ("decode_seqs", "context_tokens", "prefill_tokens", "seconds")
PREFIX: Final = "prefix_tokens"
MOST_TOKENS: Final = 1e9


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step as measured.

    Attributes
    ----------
    decode_seqs, context_tokens : decoding sequences and the mean context of each; 0 without any.
    prefill_tokens, prefix_tokens : prompt tokens computed, and those before them.
    seconds : duration.
    line : where it stands in its file.
    """

    decode_seqs: int
    context_tokens: int
    prefill_tokens: int
    prefix_tokens: int
    seconds: float
    line: int = 0

    @property
    def step(self) -> tuple[int, int, int, int]:
        """What the step computes."""
        return self.decode_seqs, self.context_tokens, self.prefill_tokens, self.prefix_tokens


def is_step_table(header: str) -> bool:
    """Whether the first line of a file is that of such a CSV."""
    return set(COLUMNS) <= {name.strip().strip('"') for name in header.split(",")}


def read_step_rows(path: Path) -> list[StepRow]:
    """All rows of a file, in order.

    Raises
    ------
    ScenarioError : it cannot be read, lacks a column, is empty, or a row says nothing sensible; names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot be read: {error}", file=str(path)) from None
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = tuple(reader.fieldnames or ())
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise ScenarioError(
            "lacks a column", key=missing[0], valid=f"{', '.join(COLUMNS)}[, {PREFIX}]", file=str(path), line=1
        )
    rows = [_row(path, reader.line_num, cells) for cells in reader]
    if not rows:
        raise ScenarioError("holds no steps", file=str(path))
    return rows


def _row(path: Path, line: int, cells: dict[str, str | None]) -> StepRow:
    seqs, context, prefill = (_whole(path, line, cells, name) for name in COLUMNS[:3])
    prefix = _whole(path, line, cells, PREFIX) if PREFIX in cells else 0
    seconds = _number(path, line, cells, "seconds")
    problem = ""
    if not seconds > 0.0:
        problem = "a step takes longer than no time"
    elif not seqs and not prefill:
        problem = "a step needs decoding sequences or prompt tokens; both are 0"
    elif seqs and not context:
        problem = "decoding sequences have a context of at least 1 token"
    elif prefix and not prefill:
        problem = "a prefix stands before prompt tokens of the step, and there are none"
    if problem:
        raise ScenarioError(problem, value=",".join(str(cell) for cell in cells.values()), file=str(path), line=line)
    return StepRow(seqs, context if seqs else 0, prefill, prefix, seconds, line)


def _whole(path: Path, line: int, cells: dict[str, str | None], name: str) -> int:
    number = _number(path, line, cells, name)
    if number != int(number):
        raise ScenarioError("is no whole number", key=name, value=number, file=str(path), line=line)
    return int(number)


def _number(path: Path, line: int, cells: dict[str, str | None], name: str) -> float:
    cell = (cells.get(name) or "").strip() or "0"
    try:
        number = float(cell)
    except ValueError:
        number = float("nan")
    if not isfinite(number) or not 0.0 <= number <= MOST_TOKENS:
        raise ScenarioError("is no number of at least 0", key=name, value=cell, file=str(path), line=line)
    return number
