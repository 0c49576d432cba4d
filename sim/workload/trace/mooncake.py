"""Mooncake's JSON lines: `timestamp` in ms, `input_length`, `output_length`, `hash_ids` of 512-token blocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from sim.workload.trace.row import Format, Row, RowParser, seconds, token_count

BLOCK_TOKENS = 512
KEYS = ("timestamp", "input_length", "output_length")
LARGEST_ID = 2**63 - 1


def _recognises(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return set(KEYS) <= set(_record(line))
    except ValueError:
        return True  # a damaged record: better told as such than as an unknown format


def _record(line: str) -> dict[str, object]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004  one kind of error per malformed line
    return record


def _parser(first: str) -> RowParser:  # noqa: ARG001  no header to read
    return _parse


def _parse(line: str) -> Row:
    record = _record(line)
    session = record.get("session_id")
    return Row(
        seconds("timestamp", _number(record, "timestamp")),
        token_count("input_length", _number(record, "input_length")),
        token_count("output_length", _number(record, "output_length")),
        None if session is None else str(session),
        _hash_ids(record),
    )


def _number(record: dict[str, object], key: str) -> object:
    value = record.get(key)
    if isinstance(value, str):
        raise ValueError(f"{key} is text, not a number")  # noqa: TRY004
    return value


def _hash_ids(record: dict[str, object]) -> Sequence[int] | None:
    ids = record.get("hash_ids")
    if ids is None:
        return None
    if not isinstance(ids, list):
        raise ValueError("hash_ids is no list")  # noqa: TRY004
    for block in ids:
        if type(block) is not int or not 0 <= block <= LARGEST_ID:
            raise ValueError("hash_ids must be whole numbers from 0 to 2^63 - 1")
    return ids


MOONCAKE = Format(
    name="mooncake",
    has_header=False,
    recognises=_recognises,
    parser=_parser,
    ticks_per_s=1000,
)

# same fields, but seconds; no file can tell the two apart, so this one must be named
TIMED_TRACE = replace(MOONCAKE, name="vllm_timed_trace", recognises=lambda _: False, ticks_per_s=1)
