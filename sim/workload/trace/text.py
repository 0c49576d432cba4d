"""Lines of a text file that may be compressed, with every failure told as a trace error."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from sim.errors import TraceError

GZIP_MAGIC = b"\x1f\x8b"


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Line number, from 1, and content of each line that is not blank.

    Compression is told by the file's first two bytes, not by its name.

    Raises
    ------
    TraceError : the file is missing, unreadable, or its compressed data end early or are damaged.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            raw.seek(0)
            lines = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.rstrip(b"\r\n")
    except FileNotFoundError:
        raise TraceError(f"{path}: there is no such trace file") from None
    except EOFError:
        raise TraceError(f"{path}: compressed data end early, after line {number}; the file is truncated") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise TraceError(f"{path}: compressed data are damaged after line {number}: {error}") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None
