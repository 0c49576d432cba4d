"""What the terminal shows while it waits."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 2.0
PERCENT = 100.0


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None] | None]:
    """A bar with the share done per second and the time left, on stderr; none when that is no terminal.

    It appears after two seconds, so that short work stays silent.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(title, total=1.0, rate="")
    begun, shown = time.monotonic(), False

    def update(share: float) -> None:
        nonlocal shown
        elapsed_s = time.monotonic() - begun
        if not shown and elapsed_s > PATIENCE_S:
            bar.start()
            shown = True
        bar.update(task, completed=share, rate=f"{PERCENT * share / max(elapsed_s, PATIENCE_S):.1f} %/s")

    try:
        yield update
    finally:
        if shown:
            bar.stop()
