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
from sim.workload.trace.mooncake import BLOCK_TOKENS
from sim.workload.trace.trace import Trace


def write_mooncake(trace: Trace, path: str | Path) -> int:
    """Write `timestamp` (whole ms), `input_length`, `output_length`, `hash_ids` and, where known, `session_id`.

    A trace without hashed blocks gets ids of its own for each request, ceil(input / 512) of them: no two requests
    share a prefix. The file appears under its name only when it is complete; `.gz` at the end of the name compresses.

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
    first = 0
    for input_tokens in trace.input_tokens.tolist():
        after = first - (-input_tokens // BLOCK_TOKENS)
        yield list(range(first, after))
        first = after
