"""Mooncake's JSON lines: `timestamp` in ms, `input_length`, `output_length`, `hash_ids` of 512-token blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sim.workload.trace.json_record import number_of, record_of, whole_ids
from sim.workload.trace.row import Format, Row, RowParser, seconds, token_count

BLOCK_TOKENS = 512
KEYS = ("timestamp", "input_length", "output_length")


def _recognises(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return set(KEYS) <= set(record_of(line))
    except ValueError:
        return True  # a damaged record: better told as such than as an unknown format


def _parser(_first: str, _path: Path) -> RowParser:
    return _parse


def _parse(line: str) -> Row:
    record = record_of(line)
    session, ids = record.get("session_id"), record.get("hash_ids")
    return Row(
        seconds("timestamp", number_of(record, "timestamp")),
        token_count("input_length", number_of(record, "input_length")),
        token_count("output_length", number_of(record, "output_length")),
        None if session is None else str(session),
        None if ids is None else whole_ids("hash_ids", ids),
    )


MOONCAKE = Format(
    name="mooncake",
    has_header=False,
    recognises=_recognises,
    parser=_parser,
    ticks_per_s=1000,
)

# same fields, but seconds; no file can tell the two apart, so this one must be named
TIMED_TRACE = replace(MOONCAKE, name="vllm_timed_trace", recognises=lambda _: False, ticks_per_s=1)
