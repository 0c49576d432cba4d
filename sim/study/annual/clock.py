"""Years of the clock of days for a fleet."""

from __future__ import annotations

from math import ceil
from typing import Final

from sim.faults.fleet_plan import FleetPlan
from sim.faults.timeline import Timeline
from sim.faults.transition import Transition
from sim.streams import Streams
from sim.study.annual.years import Years
from sim.study.workers import Progress, spread
from sim.units import YEAR_S

FLEET_LIFE_YEARS: Final = 5  # a realisation begins with a new fleet; its early faults belong to its average year


def fault_years(
    plan: FleetPlan,
    pools: tuple[int, ...],
    years: int,
    seed: int,
    *,
    workers: int = 0,
    progress: Progress | None = None,
) -> Years:
    """So many years at least, in fleets that begin new and live for some years.

    Parameters
    ----------
    plan : of the fleet, with the replicas of all pools in order.
    pools : replicas of each pool.
    seed : root of the random streams; realisation i draws from replication i.
    """
    each = min(years, FLEET_LIFE_YEARS)
    tasks = [(plan, seed, index, each) for index in range(ceil(years / each))]
    found = spread(_realisation, tasks, workers=workers, progress=progress)
    return Years([steps for steps, _ in found], each, pools, tainted_s=sum(seconds for _, seconds in found))


def _realisation(task: tuple[FleetPlan, int, int, int], _progress: Progress) -> tuple[tuple[Transition, ...], float]:
    plan, seed, index, each = task
    timeline = Timeline(plan, Streams(seed, index), record=True)
    tally = timeline.run(each * YEAR_S)
    return timeline.transitions, tally.tainted_s
