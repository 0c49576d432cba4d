"""One line of a JSON-lines file."""

from __future__ import annotations

import json

LARGEST_ID = 2**63 - 1


def record_of(line: str) -> dict[str, object]:
    """The JSON object of a line.

    Raises
    ------
    ValueError : anything else.
    """
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004  one kind of error per malformed line
    return record


def has_keys(line: str, keys: tuple[str, ...]) -> bool:
    """Whether a line is a JSON object with at least these keys."""
    if not line.lstrip().startswith("{"):
        return False
    try:
        return set(keys) <= set(record_of(line))
    except ValueError:
        return False


def number_of(record: dict[str, object], key: str) -> object:
    """A field that must not be text; what else is wrong with it is for its own check to say.

    Raises
    ------
    ValueError : text.
    """
    value = record.get(key)
    if isinstance(value, str):
        raise ValueError(f"{key} is text, not a number")  # noqa: TRY004
    return value


def whole_ids(name: str, ids: object) -> list[int]:
    """A list of ids.

    Raises
    ------
    ValueError : no list, or not of whole numbers that fit 63 bits.
    """
    if not isinstance(ids, list):
        raise ValueError(f"{name} is no list")  # noqa: TRY004
    for one in ids:
        if type(one) is not int or not 0 <= one <= LARGEST_ID:
            raise ValueError(f"{name} must be whole numbers from 0 to 2^63 - 1")
    return ids
