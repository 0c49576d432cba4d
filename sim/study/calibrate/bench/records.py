"""JSON objects of a file, and numbers of an object, with errors that name both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from sim.errors import ScenarioError

Record = dict[str, Any]


def records(text: str, file: str) -> list[Record]:
    """One object, a list of them, or one per line.

    Raises
    ------
    ScenarioError : no JSON, or something else than objects.
    """
    try:
        whole = json.loads(text)
        found = whole if isinstance(whole, list) else [whole]
    except json.JSONDecodeError as error:
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError:
            raise ScenarioError(f"is no JSON: {error.msg}", file=file, line=error.lineno) from None
    if not found or not all(isinstance(item, dict) for item in found):
        raise ScenarioError("holds no JSON objects", file=file)
    return found


def number(record: Mapping[str, Any], key: str, file: str) -> float | None:
    """A finite number; None where there is none.

    Raises
    ------
    ScenarioError : it is there and no number.
    """
    value = record.get(key)
    if value is None or value == "":
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if isinstance(value, bool) or not isfinite(found):
        raise ScenarioError("is no number", key=key, value=value, file=file)
    return found


def needed(record: Mapping[str, Any], key: str, file: str) -> float:
    """A number above zero that must be there.

    Raises
    ------
    ScenarioError : it is missing, or not above zero.
    """
    found = number(record, key, file)
    if found is None:
        raise ScenarioError("is missing", key=key, file=file)
    if found <= 0.0:
        raise ScenarioError("must be above 0", key=key, value=record[key], file=file)
    return found


def numbers(record: Mapping[str, Any], key: str, file: str) -> list[float]:
    """A list of numbers; empty where there is none.

    Raises
    ------
    ScenarioError : it is something else.
    """
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(
        isinstance(item, int | float) and not isinstance(item, bool) and isfinite(item) for item in value
    ):
        raise ScenarioError("is no list of numbers", key=key, file=file)
    return [float(item) for item in value]
