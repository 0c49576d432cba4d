"""Putting values over values: inheritance and overrides."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from numbers import Integral
from typing import Any, Final

from sim.errors import ScenarioError

KINDS: Final = ("process", "law", "preset")  # keys that say what the rest of their mapping means


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `under`, mapping by mapping; a value of None removes the key.

    A mapping that names another kind (`process`, `law`, `preset`) replaces the one below it, whose other keys would
    mean nothing.
    """
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            inherited = below if isinstance(below, Mapping) and not _other_kind(below, value) else {}
            result[key] = merged(inherited, value)
        else:
            result[key] = value
    return result


def replaced(values: Mapping[str, Any], key: object, value: object, file: str = "") -> dict[str, Any]:
    """A copy with the value at one dotted key replaced (or removed, for None); numpy's whole numbers become plain.

    Raises
    ------
    ScenarioError : the key is no text or empty, or leads through something that holds no keys.
    """
    if not isinstance(key, str) or not all(key.split(".")):
        raise ScenarioError("is no dotted key", key=str(key) or "''", valid="such as run.seed", file=file)
    parts = key.split(".")
    result = dict(values)
    at = result
    for depth, part in enumerate(parts[:-1]):
        below = at.get(part)
        if below is None:
            below = {}
        if not isinstance(below, Mapping):
            stem = ".".join(parts[: depth + 1])
            raise ScenarioError(f"{stem} holds a value, no keys", key=key, value=value, file=file)
        at[part] = dict(below)
        at = at[part]
    if value is None:
        at.pop(parts[-1], None)
    else:
        at[parts[-1]] = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else deepcopy(value)
    return result


def _other_kind(below: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    return any(kind in over and kind in below and over[kind] != below[kind] for kind in KINDS)
