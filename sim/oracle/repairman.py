"""Machine repairman: units in service, cold spares, and a limited number of repair crews."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.oracle.birth_death import Probabilities, stationary
from sim.oracle.checks import positive


@dataclass(frozen=True, slots=True)
class Repairman:
    """A birth and death chain in the number of units under or before repair.

    Parameters
    ----------
    units : units in service when nothing has failed.
    mtbf_s : mean time to failure of a unit in service, exponential.
    mttr_s : mean repair time, exponential.
    crews : repairs that go on at once; None for as many as there are units.
    spares : further units that take the place of failed ones at once, and do not fail while they wait.

    Raises
    ------
    ValueError : an argument out of range.

    Notes
    -----
    With i units down, min(units, units + spares - i) of them can fail and min(i, crews) are being repaired. The same
    chain is a closed loop of `units` clients who think for `mtbf_s` and are served for `mttr_s` by `crews` servers;
    then the law of the thinking time does not matter.

    Sources
    -------
    Kleinrock, Queueing Systems I (1975), section 3.8. Checked: 34 units, 2,000 h, 48 h, one crew: mean down 2.4935306,
    at least 32 up 0.60041206, all up 0.24384474; 4 units and a spare, 240 h, 24 h: at least 4 up 0.9406023080.
    """

    units: int
    mtbf_s: float
    mttr_s: float
    crews: int | None = None
    spares: int = 0

    def __post_init__(self) -> None:
        positive(units=self.units, mtbf_s=self.mtbf_s, mttr_s=self.mttr_s, crews=self._crews)
        if self.spares < 0:
            raise ValueError(f"spares must not be negative, is {self.spares}")

    @property
    def _crews(self) -> int:
        return self.units + self.spares if self.crews is None else self.crews

    def _failures_per_s(self, down: int) -> float:
        return min(self.units, self.units + self.spares - down) / self.mtbf_s

    def _repairs_per_s(self, down: int) -> float:
        return min(down, self._crews) / self.mttr_s

    @property
    def probabilities(self) -> Probabilities:
        """(units + spares + 1,) share of time with 0, 1, ... units down."""
        total = self.units + self.spares
        return stationary(
            [self._failures_per_s(down) for down in range(total)],
            [self._repairs_per_s(down) for down in range(1, total + 1)],
        )

    @property
    def mean_down(self) -> float:
        """Mean number of units under or before repair."""
        p = self.probabilities
        return float(np.arange(p.size) @ p)

    @property
    def mean_in_service(self) -> float:
        """Mean number of units in service, at most `units`."""
        p = self.probabilities
        return float(np.minimum(self.units, p.size - 1 - np.arange(p.size)) @ p)

    @property
    def failures_per_s(self) -> float:
        """Failures of all units per second."""
        return self.mean_in_service / self.mtbf_s

    def at_least_frac(self, needed: int) -> float:
        """Share of time with at least `needed` units in service."""
        if not 0 <= needed <= self.units:
            raise ValueError(f"needed must be between 0 and {self.units}, is {needed}")
        return float(self.probabilities[: self.units + self.spares - needed + 1].sum())

    def losses_per_s(self, needed: int) -> float:
        """How often the number in service falls below `needed`, per second."""
        down = self.units + self.spares - needed
        return float(self.probabilities[down]) * self._failures_per_s(down)

    def mean_time_to_below_s(self, needed: int) -> float:
        """Mean time from all units up to the first moment with fewer than `needed` in service.

        Checked: the 34 units above, 32 needed: 431.82437 h with one crew, 607.44702 h with unlimited crews.
        """
        last = self.units + self.spares - needed
        passage = [1.0 / self._failures_per_s(0)]
        for down in range(1, last + 1):
            passage.append((1.0 + self._repairs_per_s(down) * passage[-1]) / self._failures_per_s(down))
        return sum(passage)
