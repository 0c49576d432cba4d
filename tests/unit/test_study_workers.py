"""Work over processes: answers, order, progress, errors."""

from __future__ import annotations

import os
import time

import pytest

from sim.errors import ScenarioError
from sim.study.workers import POLL_S, Progress, spread, worker_count


def squared(task: int, progress: Progress) -> tuple[int, int]:
    """The square, and the process that found it."""
    progress(0.5)
    time.sleep(1.5 * POLL_S if task == 0 else 0.0)
    progress(1.0)
    return task * task, os.getpid()


def refused(task: int, _progress: Progress) -> int:
    """Refuses task 2."""
    if task == 2:
        raise ScenarioError("is refused", key="run.seed", value=task, valid="less")
    return task


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_come_in_the_order_of_the_tasks(workers: int) -> None:
    """The first task takes longest and still answers first, with one process or two; each process is really used."""
    answers = spread(squared, range(6), workers=workers)
    assert [answer for answer, _ in answers] == [0, 1, 4, 9, 16, 25]
    assert (os.getpid() in {process for _, process in answers}) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_reaches_the_caller_and_ends_at_one(workers: int) -> None:
    """Shares never fall and the last one is 1, so that a progress bar ends full."""
    seen: list[float] = []
    spread(squared, range(4), workers=workers, progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert seen[-1] == 1.0


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_task_comes_out_as_it_was(workers: int) -> None:
    """The class and the sentence survive the way through another process."""
    with pytest.raises(ScenarioError) as caught:
        spread(refused, range(4), workers=workers)
    assert str(caught.value) == "run.seed: is refused (value 2); valid: less"
    assert caught.value.key == "run.seed"


def test_no_task_is_no_answer() -> None:
    """An empty study starts no process and is no error."""
    seen: list[float] = []
    assert spread(squared, [], workers=2, progress=seen.append) == []
    assert seen == []


def test_zero_workers_are_the_cores_of_this_process() -> None:
    """A process that is confined to some cores takes no more."""
    assert worker_count(0) == (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    assert worker_count(3) == 3
