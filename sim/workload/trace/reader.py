"""Reading a trace file of any known format."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sim.errors import TraceError, nearest, shorten
from sim.workload.runs import Runs, length
from sim.workload.trace.azure import AZURE
from sim.workload.trace.bailian import BAILIAN
from sim.workload.trace.blocks import HashBlocks
from sim.workload.trace.burstgpt import BURSTGPT, BURSTGPT_WITH_FAILURES
from sim.workload.trace.claude_code import CLAUDE_CODE
from sim.workload.trace.mooncake import MOONCAKE, TIMED_TRACE
from sim.workload.trace.plain import PLAIN
from sim.workload.trace.prompt_runs import PromptRuns
from sim.workload.trace.ragpulse import RAGPULSE
from sim.workload.trace.row import Format, Row, RowParser
from sim.workload.trace.text import numbered_lines
from sim.workload.trace.trace import Trace

AUTO = "auto"
# in the order in which a first line is tried: those with a mark of their own before Mooncake's common fields
FORMATS = (
    AZURE,
    CLAUDE_CODE,
    RAGPULSE,
    BAILIAN,
    MOONCAKE,
    BURSTGPT,
    PLAIN,
    TIMED_TRACE,
    BURSTGPT_WITH_FAILURES,
)


def read_trace(
    path: str | Path,
    format: str = AUTO,  # noqa: A002 - the word that a user expects
    *,
    sort: bool = False,
    block_tokens: int | None = None,
) -> Trace:
    """Read a trace, compressed or not.

    Parameters
    ----------
    path : the file.
    format : a name of `FORMATS`; with `auto` told from the first line, which cannot tell `vllm_timed_trace` (seconds)
        from `mooncake` (milliseconds), nor `burstgpt_with_failures` from `burstgpt`.
    sort : put unsorted rows in order of time, keeping the order of equal times, instead of refusing them.
    block_tokens : tokens per hashed block, for files with another block size than their format's own.

    Returns
    -------
    Trace
        Times as in the file, except for dates, which start at the first request.

    Raises
    ------
    TraceError : missing, truncated or empty file, unknown format, malformed rows (the first one's line number, reason
        and content, and how many there are), or unsorted times.
    """
    path = Path(path)
    rows = _Rows(path)
    kind = None if format == AUTO else _named(format)
    parse: RowParser | None = None
    for number, raw in numbered_lines(path):
        try:
            line = raw.decode("utf-8-sig" if parse is None else "utf-8")
        except UnicodeDecodeError:
            if parse is None:
                raise TraceError(f"{path}: line {number} is no UTF-8 text: {shorten(raw)}") from None
            rows.refuse(number, "is no UTF-8 text", raw)
            continue
        if parse is None:
            kind = kind or _recognised(path, number, line)
            try:
                rows.block_tokens = block_tokens or kind.block_tokens
                parse = kind.parser(line, path)
            except ValueError as error:
                raise TraceError(f"{path}: line {number}: {error}: {shorten(line)}") from None
            if kind.has_header:
                continue
        try:
            rows.take(number, parse(line))
        except ValueError as error:
            rows.refuse(number, str(error), line)
    if kind is None or parse is None:
        raise TraceError(f"{path}: the file is empty")
    return rows.trace(kind, sort=sort or kind.unsorted)


def _named(name: str) -> Format:
    for kind in FORMATS:
        if kind.name == name:
            return kind
    names = [AUTO, *(kind.name for kind in FORMATS)]
    close = nearest(name, names)
    hint = f"; did you mean {close!r}?" if close else ""
    raise TraceError(f"{name!r} is no trace format; known: {', '.join(names)}{hint}")


def _recognised(path: Path, number: int, line: str) -> Format:
    for kind in FORMATS:
        if kind.recognises(line):
            return kind
    raise TraceError(
        f"{path}: line {number} belongs to no known trace format: {shorten(line)}; "
        f"known: {', '.join(kind.name for kind in FORMATS)}"
    )


@dataclass(slots=True)
class _Rows:
    """Columns as they grow, and what was refused."""

    path: Path
    block_tokens: int = 0
    lines: array[int] = field(default_factory=lambda: array("q"))
    ticks: list[float] = field(default_factory=list)  # whole ticks since 1970 do not fit a float
    inputs: array[int] = field(default_factory=lambda: array("q"))
    outputs: array[int] = field(default_factory=lambda: array("q"))
    sessions: list[str | None] = field(default_factory=list)
    ids: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q", [0]))
    prompts: list[Runs] = field(default_factory=list)
    has_ids: bool | None = None
    refused: int = 0
    complaint: str = ""

    def take(self, number: int, found: Row | list[Row] | None) -> None:
        """Append what one line holds; ValueError when it does not fit the rows before it."""
        if isinstance(found, list):
            for row in found:
                self.add(number, row)
        elif found is not None:
            self.add(number, found)

    def add(self, number: int, row: Row) -> None:
        """Append one row; ValueError when it does not fit the rows before it."""
        has_ids = row.hash_ids is not None
        if self.has_ids is None:
            self.has_ids = has_ids
        if has_ids != self.has_ids:
            raise ValueError("lacks hash_ids that other rows have" if self.has_ids else "has hash_ids that others lack")
        if row.hash_ids is not None:
            most = -(-row.input_tokens // self.block_tokens)
            if len(row.hash_ids) > most:
                raise ValueError(
                    f"has {len(row.hash_ids)} hash_ids where {row.input_tokens} tokens make {most} "
                    f"blocks of {self.block_tokens}"
                )
            self.ids.extend(row.hash_ids)
            self.offsets.append(len(self.ids))
        if row.runs is not None:
            if length(row.runs) > row.input_tokens:
                raise ValueError(f"lists {length(row.runs)} tokens of a prompt of {row.input_tokens}")
            self.prompts.append(row.runs)
        self.lines.append(number)
        self.ticks.append(row.ticks)
        self.inputs.append(row.input_tokens)
        self.outputs.append(row.output_tokens)
        self.sessions.append(row.session_id)

    def refuse(self, number: int, reason: str, content: str | bytes) -> None:
        """Remember the first malformed line and count the others."""
        self.refused += 1
        self.complaint = self.complaint or f"line {number} is malformed: {reason}: {shorten(content)}"

    def trace(self, kind: Format, *, sort: bool) -> Trace:
        """The finished trace, or the error that the rows amount to."""
        if self.refused:
            many = "1 malformed line" if self.refused == 1 else f"{self.refused} malformed lines"
            raise TraceError(f"{self.path}: {self.complaint}; {many} in all")
        if not self.lines:
            raise TraceError(f"{self.path}: has a header but no requests")
        ticks = np.array(self.ticks, dtype=np.int64 if kind.wall_clock else np.float64)
        order = np.argsort(ticks, kind="stable")
        back = np.flatnonzero(np.diff(ticks) < 0)
        if len(back) and not sort:
            raise TraceError(
                f"{self.path}: line {self.lines[int(back[0]) + 1]} is earlier than the line before it; times go back "
                f"{len(back)} times in all; set workload.trace.sort (or --sort) if file order does not matter"
            )
        start = ticks[order[0]] if kind.wall_clock else 0
        blocks = HashBlocks(_whole(self.ids), _whole(self.offsets), self.block_tokens) if self.has_ids else None
        return Trace(
            arrival_s=(ticks[order] - start) / kind.ticks_per_s,
            input_tokens=_whole(self.inputs)[order],
            output_tokens=_whole(self.outputs)[order],
            source=self.path.name,
            session_ids=tuple(self.sessions[i] for i in order.tolist()) if any(self.sessions) else None,
            blocks=None if blocks is None else blocks.take(order),
            prompts=PromptRuns.of(self.prompts).take(order) if self.prompts else None,
        )


def _whole(values: array[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)
