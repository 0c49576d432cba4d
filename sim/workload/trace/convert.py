"""Writing a trace in Mooncake's form, which load generators replay against a real cluster."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np

from sim.errors import TraceError
from sim.workload.runs import Run, length
from sim.workload.trace.mooncake import BLOCK_TOKENS
from sim.workload.trace.trace import Trace

OWN_SPAN = 2**32  # identities of one request's own tokens lie below zero, so that they meet nobody's


def write_mooncake(trace: Trace, path: str | Path) -> int:
    """Write `timestamp` (whole ms), `input_length`, `output_length`, `hash_ids` and, where known, `session_id`.

    Prompts known as runs of tokens are cut into blocks of 512, equal ones numbered alike where all before them is equal
    too. A trace that tells no prefixes gets ids of its own for each request, ceil(input / 512) of them: no two requests
    share any. The file appears under its name only when it is complete; `.gz` at the end of the name compresses.

    Returns
    -------
    int
        Requests written. Reading the file back gives the same trace, times rounded to the millisecond.

    Raises
    ------
    TraceError : the file cannot be written.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as raw:
            if path.suffix == ".gz":
                # without name and time, equal traces make equal files
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                    _write(trace, cast("IO[bytes]", packed))
            else:
                _write(trace, raw)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise TraceError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
    return len(trace)


def _write(trace: Trace, stream: IO[bytes]) -> None:
    for record in _records(trace):
        stream.write(json.dumps(record).encode() + b"\n")


def _records(trace: Trace) -> Iterator[dict[str, object]]:
    stamps = np.rint(trace.arrival_s * 1000).astype(np.int64).tolist()
    lengths = zip(trace.input_tokens.tolist(), trace.output_tokens.tolist(), strict=True)
    sessions = trace.session_ids or [None] * len(trace)
    rows = zip(stamps, lengths, _hash_ids(trace), sessions, strict=True)
    for stamp, (input_tokens, output_tokens), hash_ids, session in rows:
        record: dict[str, object] = {
            "timestamp": stamp,
            "input_length": input_tokens,
            "output_length": output_tokens,
            "hash_ids": hash_ids,
        }
        if session is not None:
            record["session_id"] = session
        yield record


def _hash_ids(trace: Trace) -> Iterator[list[int]]:
    if trace.blocks is not None:
        yield from trace.blocks.rows()
        return
    if trace.prompts is not None:
        yield from _blocks_of_runs(trace)
        return
    first = 0
    for input_tokens in trace.input_tokens.tolist():
        after = first - (-input_tokens // BLOCK_TOKENS)
        yield list(range(first, after))
        first = after


def _blocks_of_runs(trace: Trace) -> Iterator[list[int]]:
    """Ids of chained blocks: a block is known by the block before it and by its own tokens."""
    known: dict[tuple[int, tuple[Run, ...]], int] = {}
    for number, (runs, input_tokens) in enumerate(zip(trace.prefixes(), trace.input_tokens.tolist(), strict=True)):
        own = (-(number + 1) * OWN_SPAN, input_tokens - length(runs))
        before, ids = -1, []
        for content in _cut((*runs, own)):
            before = known.setdefault((before, content), len(known))
            ids.append(before)
        yield ids


def _cut(runs: tuple[Run, ...]) -> Iterator[tuple[Run, ...]]:
    """Runs cut into pieces of 512 tokens, the last one shorter."""
    piece: list[Run] = []
    room = BLOCK_TOKENS
    for run in runs:
        first, tokens = run
        while tokens > 0:
            taken = min(tokens, room)
            piece.append((first, taken))
            first, tokens, room = first + taken, tokens - taken, room - taken
            if room == 0:
                yield tuple(piece)
                piece, room = [], BLOCK_TOKENS
    if piece:
        yield tuple(piece)
