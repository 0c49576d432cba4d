"""The plain table: `arrival_s,input_tokens,output_tokens[,session_id]`."""

from __future__ import annotations

from pathlib import Path

from sim.workload.trace.row import Format, Row, RowParser, columns, fields, positions, seconds, token_count

COLUMNS = ("arrival_s", "input_tokens", "output_tokens")
SESSION = "session_id"


def _parser(header: str, _path: Path) -> RowParser:
    time, prompt, output = positions(header, COLUMNS)
    names = columns(header)
    session = names.index(SESSION) if SESSION in names else None

    def parse(line: str) -> Row:
        cells = fields(line)
        if len(cells) != len(names):
            raise ValueError(f"has {len(cells)} fields where the header has {len(names)}")
        return Row(
            seconds("arrival_s", cells[time].strip()),
            token_count("input_tokens", cells[prompt].strip()),
            token_count("output_tokens", cells[output].strip()),
            None if session is None else cells[session].strip() or None,
        )

    return parse


PLAIN = Format(
    name="csv",
    has_header=True,
    recognises=lambda line: set(COLUMNS) <= set(columns(line)),
    parser=_parser,
    ticks_per_s=1,
)
