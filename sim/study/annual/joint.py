"""Years simulated through, request by request: what joining responses must agree with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.scenario.scenario import Scenario
from sim.study.annual.counts import Floats, column
from sim.study.annual.scripted import Script, run_scripts
from sim.study.annual.years import Years
from sim.study.workers import Progress


@dataclass(frozen=True, slots=True)
class Joint:
    """Runs over whole realisations.

    Attributes
    ----------
    counts : (realisations, metrics) of the runs with faults; `excess` the same less runs of the same requests without.
    work, cpu_s : engine events and processor time of the runs with faults.
    """

    counts: Floats
    excess: Floats
    work: int
    cpu_s: float


def jointly(
    scenario: Scenario,
    years: Years,
    *,
    first_replication: int = 0,
    workers: int = 0,
    progress: Progress | None = None,
) -> Joint:
    """Simulate every realisation from its beginning to its end, with faults and without.

    Parameters
    ----------
    first_replication : of the requests of the first realisation; each has its own.
    """
    quiet = scenario.with_({"reliability.faults": False, "reliability.inject": []})
    span_s, first = years.each * years.year_s, first_replication
    scripts = [
        Script(tuple(steps), 0.0, span_s, first + index)
        for transitions in (years.realisations, [()] * len(years.realisations))
        for index, steps in enumerate(transitions)
    ]
    found = run_scripts(quiet, scripts, workers=workers, progress=progress)
    half = len(years.realisations)
    sums = np.array([counts.values.sum(axis=0) for counts in found])
    with_faults = found[:half]
    return Joint(
        sums[:half],
        sums[:half] - sums[half:],
        sum(counts.events for counts in with_faults),
        sum(counts.cpu_s for counts in with_faults),
    )


def half_width(values: Floats, metric: str) -> float:
    """Half of the 95 % interval of the mean of a count over realisations, by the normal law."""
    column_ = values[:, column(metric)]
    return 1.96 * float(column_.std(ddof=1)) / float(np.sqrt(len(column_)))
