"""All replications of a scenario."""

from __future__ import annotations

from sim.engine.cluster import Outcome
from sim.scenario.scenario import Scenario
from sim.simulation.run import run_replication
from sim.study.workers import Progress, spread


def replicate(scenario: Scenario, *, workers: int = 0, progress: Progress | None = None) -> list[Outcome]:
    """One outcome per replication, in order; bit for bit the same for any number of workers."""
    tasks = [(scenario, replication) for replication in range(scenario.run.replications)]
    return spread(_replication, tasks, workers=workers, progress=progress)


def _replication(task: tuple[Scenario, int], progress: Progress) -> Outcome:
    scenario, replication = task
    return run_replication(scenario, replication, progress)
