"""Season times burst: a bursty process run on the clock of a rate profile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.streams import Streams
from sim.workload.arrivals.process import ArrivalProcess, BlockDrawn, Times
from sim.workload.arrivals.profile import RateProfile
from sim.workload.checks import not_negative


@dataclass(frozen=True, slots=True)
class OperationalTime(BlockDrawn):
    """Arrivals t_i = L^-1(u_i): u_i from a process at unit rate, L the integral of the profile.

    Season and burst stay separate: the profile alone decides how many arrivals each hour expects, the base alone how
    they cluster. With a Poisson base the counts in disjoint intervals are independent Poisson variables with means
    L(b) - L(a), as in a non-homogeneous Poisson process, without thinning.

    Parameters
    ----------
    profile : rate over time.
    base : any stationary process. Its times are stretched to unit rate first, so its own rate is immaterial for Poisson
        and renewal bases; an `Mmpp` keeps its dwell times in clock seconds where the profile's rate equals its own.
    start_s : where in the profile time zero lies, as the peak hour of a week.

    Raises
    ------
    ScenarioError : start_s is negative.
    """

    profile: RateProfile
    base: ArrivalProcess
    start_s: float = 0.0

    def __post_init__(self) -> None:
        not_negative("start_s", self.start_s)

    @property
    def rate_rps(self) -> float:
        """Long-run mean rate of the profile."""
        return self.profile.mean_rate_rps

    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:
        """Arrival times as consecutive arrays."""
        base_rate_rps = self.base.rate_rps
        before = float(self.profile.cumulative(np.array([self.start_s]))[0])
        for block in self.base.blocks(streams, name):
            yield np.maximum(self.profile.inverse(block * base_rate_rps + before) - self.start_s, 0.0)
