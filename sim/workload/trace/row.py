"""One row of a trace file, and the rules that every format shares."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sim.workload.runs import Runs

LARGEST = 2**53  # whole numbers up to here survive a float


class Row(NamedTuple):
    """One request as it stands in a file.

    Attributes
    ----------
    ticks : time in the unit of the format, see `Format.ticks_per_s`.
    hash_ids : prompt block ids, or None.
    runs : the prompt as runs of token identities, in formats that tell it so; or None.
    """

    ticks: float
    input_tokens: int
    output_tokens: int
    session_id: str | None = None
    hash_ids: Sequence[int] | None = None
    runs: Runs | None = None


RowParser = Callable[[str], Row | list[Row] | None]
"""A line as a request, as several of them, or as None where the format leaves it out."""


@dataclass(frozen=True, slots=True)
class Format:
    """A trace file format.

    Attributes
    ----------
    name : how `read_trace` calls it.
    has_header : whether the first line names the columns.
    recognises : whether a first line looks like this format.
    parser : builds the row parser from the first line and the file's path; raises ValueError when that header will not
        do.
    ticks_per_s : unit of the times, a property of the format and never guessed from their magnitude.
    wall_clock : whether times are dates, so that the trace starts at its first request.
    unsorted : whether such files are known to be in another order than that of time, so that they are always sorted.
    block_tokens : tokens per hashed block.
    """

    name: str
    has_header: bool
    recognises: Callable[[str], bool]
    parser: Callable[[str, Path], RowParser]
    ticks_per_s: int
    wall_clock: bool = False
    unsorted: bool = False
    block_tokens: int = 512


def fields(line: str) -> list[str]:
    """Fields of one CSV line.

    Raises
    ------
    ValueError : the line's quotes are broken.
    """
    try:
        return next(csv.reader((line,), strict=True))
    except (csv.Error, StopIteration) as error:
        raise ValueError(f"is no CSV line: {error}") from None


def columns(header: str) -> list[str]:
    """Column names of a CSV header, stripped; empty when the line is no CSV."""
    try:
        return [name.strip() for name in fields(header)]
    except ValueError:
        return []


def positions(header: str, wanted: Sequence[str]) -> list[int]:
    """Where the wanted columns stand.

    Raises
    ------
    ValueError : columns are missing.
    """
    names = columns(header)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"the header lacks {', '.join(missing)}")
    return [names.index(name) for name in wanted]


def token_count(name: str, value: object) -> int:
    """A length in tokens from a number or its text; `12.0` counts as 12.

    Raises
    ------
    ValueError : not a number, not whole, below 1, or absurdly large.
    """
    number = finite(name, value)
    if number != math.floor(number):
        raise ValueError(f"{name} must be a whole number")
    if not 1 <= number <= LARGEST:
        raise ValueError(f"{name} must be at least 1" if number < 1 else f"{name} is too large")
    return int(number)


def seconds(name: str, value: object) -> float:
    """A time since the start of the trace, in whatever unit, from a number or its text.

    Raises
    ------
    ValueError : not a finite number, or negative.
    """
    number = finite(name, value)
    if not 0 <= number <= LARGEST:
        raise ValueError(f"{name} must not be negative" if number < 0 else f"{name} is too large")
    return number


def finite(name: str, value: object) -> float:
    """A finite float from a number or its text.

    Raises
    ------
    ValueError : anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name} is missing" if value is None else f"{name} is not a number")  # noqa: TRY004
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} is not a number" if value != "" else f"{name} is missing") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} is not finite")
    return number
