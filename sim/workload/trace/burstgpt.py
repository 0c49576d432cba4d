"""BurstGPT's tables, columns found by name: `Timestamp` in s, `Request tokens`, `Response tokens`, maybe `Session ID`.

A response of zero tokens is a request that failed. `burstgpt` leaves those rows out; `burstgpt_with_failures` keeps
them as requests for one token, for a load that counts attempts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sim.workload.trace.row import (
    Format,
    Row,
    RowParser,
    columns,
    fields,
    finite,
    positions,
    seconds,
    token_count,
)

COLUMNS = ("Timestamp", "Request tokens", "Response tokens")
SESSION = "Session ID"


def _parser(*, keep_failures: bool) -> Callable[[str, Path], RowParser]:
    def build(header: str, _path: Path) -> RowParser:
        time, prompt, response = positions(header, COLUMNS)
        names = columns(header)
        session = names.index(SESSION) if SESSION in names else None

        def parse(line: str) -> Row | None:
            cells = fields(line)
            if len(cells) != len(names):
                raise ValueError(f"has {len(cells)} fields where the header has {len(names)}")
            failed = finite("Response tokens", cells[response].strip()) == 0
            if failed and not keep_failures:
                return None
            return Row(
                seconds("Timestamp", cells[time].strip()),
                token_count("Request tokens", cells[prompt].strip()),
                1 if failed else token_count("Response tokens", cells[response].strip()),
                None if session is None else cells[session].strip() or None,
            )

        return parse

    return build


BURSTGPT = Format(
    name="burstgpt",
    has_header=True,
    recognises=lambda line: set(COLUMNS) <= set(columns(line)),
    parser=_parser(keep_failures=False),
    ticks_per_s=1,
)
BURSTGPT_WITH_FAILURES = replace(
    BURSTGPT, name="burstgpt_with_failures", recognises=lambda _: False, parser=_parser(keep_failures=True)
)
