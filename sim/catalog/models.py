"""The model zoo as raw rows: one line of text fields per model, with source, date and status.

`sim.llm.zoo` turns a row into a `ModelSpec`; this module only finds rows and checks that the table is well formed.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from sim.catalog.tables import STATUSES
from sim.errors import CatalogError, nearest

REQUIRED: Final = ("name", "source", "date", "status", "note")


@cache
def rows() -> Mapping[str, Mapping[str, str]]:
    """All models, as {name: {column: text}}, in file order.

    Raises
    ------
    CatalogError : a required column is missing, a row has too few or too many fields, or a name stands twice.
    """
    file = resources.files("sim.catalog") / "data" / "models.csv"
    found: dict[str, Mapping[str, str]] = {}
    reader = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    missing = [column for column in REQUIRED if column not in (reader.fieldnames or ())]
    if missing:
        raise CatalogError(f"catalog table 'models' lacks the columns {', '.join(missing)}")
    for fields in reader:
        if None in fields or None in fields.values():
            raise CatalogError(f"catalog table 'models', line {reader.line_num}: wrong number of fields")
        if fields["name"] in found:
            raise CatalogError(f"catalog table 'models' has {fields['name']!r} twice")
        if fields["status"] not in STATUSES:
            raise CatalogError(f"catalog table 'models': {fields['name']!r} has status {fields['status']!r}")
        found[fields["name"]] = MappingProxyType(fields)
    return MappingProxyType(found)


def names() -> tuple[str, ...]:
    """Names of all models, in file order."""
    return tuple(rows())


def row(name: str) -> Mapping[str, str]:
    """Raw text fields of one model.

    Raises
    ------
    CatalogError : no such model; the message lists the names and the nearest one.
    """
    known = rows()
    if name not in known:
        close = nearest(name, known)
        hint = f"; did you mean {close!r}?" if close else ""
        raise CatalogError(f"model {name!r} is not in the catalog; it has {', '.join(known)}{hint}")
    return known[name]
