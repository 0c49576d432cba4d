"""Facts about the world: one CSV per subject area, one row per number, with unit, source, date and status.

Header of every long table: `subject,parameter,value,unit,low,high,source,date,status,note`. `low` and `high` bound the
plausible range where the source gives one. Status is one of `STATUSES`; every `assumed` row that a result depends on is
listed in its report.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final, Literal, cast, get_args

from sim.errors import CatalogError, nearest

Status = Literal["measured", "published", "vendor", "assumed"]
STATUSES: Final[tuple[str, ...]] = get_args(Status)
HEADER: Final = ("subject", "parameter", "value", "unit", "low", "high", "source", "date", "status", "note")


@dataclass(frozen=True, slots=True)
class Fact:
    """One number (or word) with its provenance.

    Attributes
    ----------
    value : as written in the table; a float where the text reads as one.
    unit : unit of `value`, `-` for pure numbers and words.
    low, high : plausible range, or None where the source gives none.
    source, date, status, note : provenance; `status` is one of `STATUSES`.
    """

    value: float | str
    unit: str
    low: float | None
    high: float | None
    source: str
    date: str
    status: Status
    note: str


Subject = Mapping[str, Fact]


@cache
def table(name: str) -> Mapping[str, Subject]:
    """All rows of one long table, as {subject: {parameter: Fact}}, in file order.

    Raises
    ------
    CatalogError : no such table, a malformed row, or the same subject and parameter twice.
    """
    file = resources.files("sim.catalog") / "data" / f"{name}.csv"
    if not file.is_file():
        raise CatalogError(f"catalog has no table {name!r}")
    reader = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    if tuple(reader.fieldnames or ()) != HEADER:
        raise CatalogError(f"catalog table {name!r} must have the columns {', '.join(HEADER)}")
    rows: dict[str, dict[str, Fact]] = {}
    for row in reader:
        facts = rows.setdefault(row["subject"], {})
        if row["parameter"] in facts:
            raise CatalogError(f"catalog table {name!r} has {row['subject']}.{row['parameter']} twice")
        facts[row["parameter"]] = _fact(name, row)
    return MappingProxyType({name: MappingProxyType(facts) for name, facts in rows.items()})


def subject(table_name: str, name: str) -> Subject:
    """All facts about one subject, e.g. `subject("gpus", "h100-sxm-80gb")`.

    Raises
    ------
    CatalogError : the name is not in the table; the message lists the names and the nearest one.
    """
    rows = table(table_name)
    if name not in rows:
        close = nearest(name, rows)
        hint = f"; did you mean {close!r}?" if close else ""
        raise CatalogError(f"{name!r} is not in catalog table {table_name!r}; it has {', '.join(rows)}{hint}")
    return rows[name]


def fact(table_name: str, subject_name: str, parameter: str) -> Fact:
    """One fact.

    Raises
    ------
    CatalogError : unknown subject or parameter.
    """
    facts = subject(table_name, subject_name)
    if parameter not in facts:
        raise CatalogError(f"catalog table {table_name!r} has no parameter {parameter!r} for {subject_name!r}")
    return facts[parameter]


def number(table_name: str, subject_name: str, parameter: str) -> float:
    """Value of one numeric fact, in the unit of its row.

    Raises
    ------
    CatalogError : unknown subject or parameter, or the value is a word.
    """
    value = fact(table_name, subject_name, parameter).value
    if isinstance(value, str):
        raise CatalogError(f"{table_name}: {subject_name}.{parameter} is {value!r}, not a number")
    return value


def _fact(name: str, row: Mapping[str, str]) -> Fact:
    if row["status"] not in STATUSES:
        raise CatalogError(
            f"catalog table {name!r}: {row['subject']}.{row['parameter']} has status {row['status']!r}; "
            f"valid: {', '.join(STATUSES)}"
        )
    return Fact(
        value=_number_or_word(row["value"]),
        unit=row["unit"],
        low=float(row["low"]) if row["low"] else None,
        high=float(row["high"]) if row["high"] else None,
        source=row["source"],
        date=row["date"],
        status=cast("Status", row["status"]),
        note=row["note"],
    )


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
