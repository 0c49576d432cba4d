"""Azure's public LLM inference traces: `TIMESTAMP,ContextTokens,GeneratedTokens`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from sim.workload.trace.row import Format, Row, RowParser, columns, fields, positions, token_count

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
TICKS_PER_S = 10_000_000
DIGITS = 7
STAMP = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


def ticks(stamp: str) -> int:
    """Units of 100 ns since 1970 of `2023-11-16 18:17:03.9799600`, exactly; without a zone it is read as UTC.

    A float of seconds since 1970 resolves 240 ns only, so whole ticks are kept until the first one is subtracted.
    Digits beyond the seventh are dropped.

    Raises
    ------
    ValueError : not a date and time.
    """
    match = STAMP.fullmatch(stamp.strip())
    if match is None:
        raise ValueError("TIMESTAMP is not a date and time")
    whole, fraction, zone = match.groups()
    moment = datetime.fromisoformat(whole + (zone or ""))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    part = int((fraction or "0")[:DIGITS].ljust(DIGITS, "0"))
    return int(moment.timestamp()) * TICKS_PER_S + part


def _parser(header: str, _path: Path) -> RowParser:
    time, context, generated = positions(header, COLUMNS)
    width = len(columns(header))

    def parse(line: str) -> Row:
        cells = fields(line)
        if len(cells) != width:
            raise ValueError(f"has {len(cells)} fields where the header has {width}")
        return Row(
            ticks(cells[time]),
            token_count("ContextTokens", cells[context].strip()),
            token_count("GeneratedTokens", cells[generated].strip()),
        )

    return parse


AZURE = Format(
    name="azure",
    has_header=True,
    recognises=lambda line: set(COLUMNS) <= set(columns(line)),
    parser=_parser,
    ticks_per_s=TICKS_PER_S,
    wall_clock=True,
)
