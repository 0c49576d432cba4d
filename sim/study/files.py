"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sim.errors import RunDirectoryError


def write_text(path: Path, text: str) -> None:
    """Write a text file in one piece.

    Raises
    ------
    RunDirectoryError : it cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one piece.

    Raises
    ------
    RunDirectoryError : it cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise RunDirectoryError(f"{path}: cannot be written: {error.strerror or error}") from None
