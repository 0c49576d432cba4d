"""Share of requests within the service level against the load, with and without faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim.scenario.scenario import Scenario
from sim.study.annual.annual import annual
from sim.study.annual.years import Years
from sim.study.workers import Progress

if TYPE_CHECKING:
    import pandas as pd


def attainment_under_faults(
    scenario: Scenario,
    years: Years,
    rates_rps: Sequence[float],
    *,
    replications: int = 3,
    workers: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Annual figures at several loads, of the same years of faults and the same random streams.

    Returns
    -------
    Tidy: rate_rps, and the columns of a metric.

    Raises
    ------
    SimError : a load cannot be carried even without faults.
    """
    import pandas as pd

    frames = []
    for index, rate_rps in enumerate(sorted(rates_rps)):

        def part(share: float, index: int = index) -> None:
            if progress is not None:
                progress((index + share) / len(rates_rps))

        loaded = scenario.with_({"workload.arrivals.rate_rps": rate_rps})
        found = annual(loaded, years, replications=replications, workers=workers, progress=part)
        frame = pd.DataFrame([metric.as_dict() for metric in found.metrics])
        frame.insert(0, "rate_rps", rate_rps)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
