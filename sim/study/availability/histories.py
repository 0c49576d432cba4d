"""Histories of many fleets that are alike, each from new to the end of its life."""

from __future__ import annotations

from math import ceil
from typing import Final

from sim.faults.fleet_plan import FleetPlan
from sim.faults.tally import Tally
from sim.faults.timeline import Timeline
from sim.streams import Streams
from sim.study.workers import Progress, spread, worker_count

TASKS_PER_WORKER: Final = 8  # enough for a progress figure, few enough to cost nothing


def histories(
    plan: FleetPlan, life_s: float, fleets: int, seed: int, *, workers: int = 0, progress: Progress | None = None
) -> list[Tally]:
    """One tally per fleet; the same for any number of workers.

    Parameters
    ----------
    life_s : of each fleet, which begins new with all replicas up.
    seed : root of the random streams; fleet i draws from replication i, node by node, so that a plan with more spares
        or other repair sees the same nodes.
    """
    size = max(1, ceil(fleets / (TASKS_PER_WORKER * worker_count(workers))))
    tasks = [(plan, life_s, seed, first, min(size, fleets - first)) for first in range(0, fleets, size)]
    found = spread(_part, tasks, workers=workers, progress=progress)
    return [tally for part in found for tally in part]


def _part(task: tuple[FleetPlan, float, int, int, int], progress: Progress) -> list[Tally]:
    plan, life_s, seed, first, count = task
    found = []
    for index in range(count):
        found.append(Timeline(plan, Streams(seed, first + index)).run(life_s))
        progress((index + 1) / count)
    return found
