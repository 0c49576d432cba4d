"""Recorded coding agents as an open trace: every call at its recorded time, each session on its own clock.

The file does not say when sessions began with respect to each other, so all of them begin at time zero. Replay them as
sessions to have them arrive at a rate of one's choice and wait for their answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from sim.workload.sessions.claude_code import is_session, session_of
from sim.workload.sessions.identities import SPAN
from sim.workload.sessions.recorded import RecordedSession
from sim.workload.trace.row import Format, Row, RowParser


def _parser(_first: str, _path: Path) -> RowParser:
    numbers = count()

    def parse(line: str) -> list[Row]:
        return list(_rows(session_of(line), next(numbers) * SPAN))

    return parse


def _rows(session: RecordedSession, first_id: int) -> Iterator[Row]:
    for call in session.calls():
        runs = tuple((first + first_id, tokens) for first, tokens in call.runs)
        yield Row(call.start_s, call.input_tokens, call.output_tokens, session.label, None, runs)


CLAUDE_CODE = Format(
    name="claude_code",
    has_header=False,
    recognises=is_session,
    parser=_parser,
    ticks_per_s=1,
    unsorted=True,
)
