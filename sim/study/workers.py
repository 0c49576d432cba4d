"""Work spread over processes, with results in the order of the tasks and one progress figure."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

Progress = Callable[[float], None]
Task = TypeVar("Task")
Answer = TypeVar("Answer")

POLL_S = 0.2


def worker_count(workers: int) -> int:
    """Processes to use; 0 means one per core that this process may run on."""
    if workers > 0:
        return workers
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def spread(
    function: Callable[[Task, Progress], Answer],
    tasks: Sequence[Task],
    *,
    workers: int = 0,
    progress: Progress | None = None,
) -> list[Answer]:
    """`function(task, progress)` for each task; the answers do not depend on the number of workers.

    Parameters
    ----------
    function : picklable; calls the progress it is given with the share of its task that is done.
    workers : processes; 0 for one per core. One worker runs in this process.
    progress : called with the share of all tasks that is done.
    """
    processes = min(worker_count(workers), len(tasks))
    if processes <= 1:
        return _here(function, tasks, progress)
    return _elsewhere(function, tasks, processes, progress)


def _here(
    function: Callable[[Task, Progress], Answer], tasks: Sequence[Task], progress: Progress | None
) -> list[Answer]:
    answers = []
    for index, task in enumerate(tasks):

        def part(share: float, index: int = index) -> None:
            if progress is not None:
                progress((index + share) / len(tasks))

        answers.append(function(task, part))
    return answers


def _elsewhere(
    function: Callable[[Task, Progress], Answer], tasks: Sequence[Task], processes: int, progress: Progress | None
) -> list[Answer]:
    from joblib import Parallel, delayed

    with tempfile.TemporaryDirectory(prefix="sim-progress-") as folder:
        board = Path(folder) / "shares.f8"
        shares = np.memmap(board, dtype=np.float64, mode="w+", shape=(len(tasks),))
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(shares, done, progress), daemon=True)
        if progress is not None:
            watcher.start()
        try:
            jobs = (delayed(_one)(function, task, board, index) for index, task in enumerate(tasks))
            answers = cast("list[Answer]", Parallel(n_jobs=processes, batch_size=1)(jobs))
        finally:
            done.set()
            if progress is not None:
                watcher.join()
            del shares
    if progress is not None:
        progress(1.0)
    return answers


def _one(function: Callable[[Any, Progress], Any], task: Any, board: Path, index: int) -> Any:
    shares = np.memmap(board, dtype=np.float64, mode="r+")

    def part(share: float) -> None:
        shares[index] = share

    return function(task, part)


def _watch(shares: np.memmap[Any, Any], done: threading.Event, progress: Progress | None) -> None:
    while not done.wait(POLL_S):
        if progress is not None:
            progress(float(shares.mean()))
