"""One line of the verification table, and how its verdict is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.stats.control import controlled
from sim.stats.estimate import student_factor

Z_LIMIT = 4.5
EXACT_RELATIVE = 1e-8
Rule = Literal["z", "within 1 %", "exact"]
ONE_PERCENT = 0.01


@dataclass(frozen=True, slots=True)
class Check:
    """Theory beside simulation.

    Attributes
    ----------
    name : the closed form, as `M/M/1`.
    what, unit : the figure compared.
    theory, simulation : its two values.
    low, high : 95 % interval of the simulation; None for exact checks.
    z : (simulation - theory) / standard error; None for exact checks.
    rule : `z`: |z| <= 4.5; `within 1 %`: the estimate is, whatever the noise; `exact`: to 1e-8 relative.
    passed : the verdict.
    """

    name: str
    what: str
    unit: str
    theory: float
    simulation: float
    low: float | None
    high: float | None
    z: float | None
    rule: Rule
    passed: bool

    @property
    def verdict(self) -> str:
        """`pass` or `FAIL`."""
        return "pass" if self.passed else "FAIL"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What theory says about one figure of the replications.

    Attributes
    ----------
    figure : key among the figures of a replication.
    what, unit : as in `Check`.
    theory : expected value of the figure.
    rule : how the verdict is reached.
    controls : keys of figures of known mean zero, whose noise is taken out by regression (`sim.stats.control`).
    """

    figure: str
    what: str
    unit: str
    theory: float
    rule: Rule = "z"
    controls: tuple[str, ...] = ()

    def check(self, name: str, replications: Sequence[dict[str, float]]) -> Check:
        """Compare; the figures of one replication per entry."""
        values = np.array([figures[self.figure] for figures in replications])
        if self.rule == "exact":
            worst = float(values[np.argmax(np.abs(values - self.theory))])
            passed = abs(worst - self.theory) <= EXACT_RELATIVE * max(1.0, abs(self.theory))
            return Check(name, self.what, self.unit, self.theory, worst, None, None, None, self.rule, passed)
        controls = np.array([[figures[key] for key in self.controls] for figures in replications])
        mean, error, degrees = controlled(values, controls)
        half = student_factor(degrees) * error
        z = z_score(mean, self.theory, error)
        passed = abs(z) <= Z_LIMIT if self.rule == "z" else abs(mean / self.theory - 1.0) <= ONE_PERCENT
        return Check(name, self.what, self.unit, self.theory, mean, mean - half, mean + half, z, self.rule, passed)


def z_score(mean: float, theory: float, error: float) -> float:
    """Distance from theory in standard errors; replications that all agree must agree with theory to rounding."""
    if error > EXACT_RELATIVE * abs(theory):
        return (mean - theory) / error
    return 0.0 if abs(mean - theory) <= EXACT_RELATIVE * abs(theory) else float("inf")
