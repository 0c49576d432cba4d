"""Run the engine on cases with closed forms and compare."""

from __future__ import annotations

from collections.abc import Sequence

from sim.streams import Streams
from sim.study.verify import availability, batching, exact, routing, shared_server, single_server
from sim.study.verify.case import Case, Setup
from sim.study.verify.check import Check
from sim.study.workers import Progress, spread
from sim.units import HOUR_S

REPLICATIONS, QUICK_REPLICATIONS = 20, 12
Task = tuple[Setup, int, int]


def all_cases(*, quick: bool = False) -> list[Case]:
    """Every case, long or short enough for a few seconds."""
    scale = 0.25 if quick else 1.0
    return [
        *exact.cases(),
        *single_server.cases(8000.0 * scale),
        *shared_server.cases(8000.0 * scale),
        *batching.cases(1200.0 * scale),
        *availability.cases(2e5 * HOUR_S * scale),
        *routing.cases(),
    ]


def verify(
    *,
    quick: bool = False,
    seed: int = 1,
    replications: int | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> list[Check]:
    """Theory beside simulation for every closed form of `sim.oracle` that the engine can be put to.

    Parameters
    ----------
    quick : shorter and fewer replications.
    seed : root of all random streams.
    replications : per case, at least 4; 20, or 12 when quick.
    workers : processes; 0 for one per core. The checks are the same for any number.
    progress : called with the share that is done.

    Raises
    ------
    ValueError : fewer than 4 replications, too few for a standard error worth the name.
    """
    count = replications or (QUICK_REPLICATIONS if quick else REPLICATIONS)
    return run_cases(all_cases(quick=quick), count, seed, workers=workers, progress=progress)


def run_cases(
    cases: Sequence[Case], replications: int, seed: int, *, workers: int = 1, progress: Progress | None = None
) -> list[Check]:
    """Simulate the cases and judge every expectation, in order; see `verify`."""
    if replications < 4:
        raise ValueError(f"at least 4 replications are needed, not {replications}")
    counts = [case.replications or replications for case in cases]
    tasks: list[Task] = [
        (case.setup, seed, replication)
        for case, count in zip(cases, counts, strict=True)
        for replication in range(count)
    ]
    figures = iter(spread(_replication, tasks, workers=workers, progress=progress))
    checks = []
    for case, count in zip(cases, counts, strict=True):
        found = [next(figures) for _ in range(count)]
        checks += [expectation.check(case.name, found) for expectation in case.expectations]
    return checks


def _replication(task: Task, progress: Progress) -> dict[str, float]:
    setup, seed, replication = task
    return setup.replication(Streams(seed, replication), progress)
