"""Kernels as they might be: each family a little faster or slower than its fit, alike for all shapes.

The fits miss held-out measurements by a stated error. One standard normal score per family moves every kernel of it
together, times up and rates down, by the size that the kernel's own 90th percentile error has in a lognormal law.
Coefficients without a measured error, but with a range of their own, move within that range by the same score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import exp, log, log1p
from typing import Final

from sim.catalog.tables import Fact, subject, table
from sim.steptime.kernels import TABLE, Kernel

Z90: Final = 1.6449  # 90 % of absolute values of a standard normal law lie below
Z50: Final = 0.6745
Z80: Final = 1.2816  # 80 % of its values lie within this of zero


@dataclass(frozen=True, slots=True)
class KernelDraw:
    """Standard normal scores of kernel families; positive is slower. Pure: equal scores give equal kernels.

    Attributes
    ----------
    scores : (family, score) pairs; a family that is not named stays at its fit.
    """

    scores: tuple[tuple[str, float], ...]

    @classmethod
    def single(cls, family: str, score: float = 1.0) -> KernelDraw:
        """One family moved, all others at their fits."""
        return cls(((family, score),))

    def of(self, kernel: Kernel) -> Kernel:
        """The kernel moved by the score of its family."""
        score = dict(self.scores).get(kernel.family, 0.0)
        if not score:
            return kernel
        facts = subject(TABLE, kernel.name)
        factor = exp(score * log_deviation(kernel.name))
        values = {name: _moved(name, value, facts, factor, score) for name, value in kernel.values.items()}
        return Kernel(kernel.name, kernel.status, values, kernel.family)


@cache
def log_deviation(name: str) -> float:
    """Standard deviation of the logarithm of a kernel's time over that of its fit; 0 where no error is stated.

    From the 90th percentile of the absolute error, or from the median where that is all that is stated.
    """
    facts = subject(TABLE, name)
    for parameter, z in (("p90_error_frac", Z90), ("median_error_frac", Z50)):
        if parameter in facts:
            return log1p(float(facts[parameter].value)) / z
    return 0.0


@cache
def families() -> tuple[str, ...]:
    """Families that have an error or a range to draw from, by name."""
    found = set()
    for name, facts in table(TABLE).items():
        ranged = any(sense(parameter, fact) and fact.low is not None for parameter, fact in facts.items())
        if "family" in facts and (log_deviation(name) or ranged):
            found.add(str(facts["family"].value))
    return tuple(sorted(found))


def sense(parameter: str, fact: Fact) -> int:
    """1 for a time, -1 for a rate or an efficiency, 0 for what a slower kernel does not change."""
    if parameter.startswith("reference_"):
        return 0
    if fact.unit == "us" or fact.unit.startswith("us per"):
        return 1
    return -1 if fact.unit.startswith("frac of") or fact.unit == "GB/s" else 0


def between(value: float, low: float, high: float, score: float) -> float:
    """The value moved by a standard normal score whose central 80 % spans `low` to `high`.

    Two half-normal laws meet at the value, on the logarithm where the range is positive, else on the value itself and
    not below `low`.
    """
    end = high if score > 0.0 else low
    part = abs(score) / Z80
    if low > 0.0 and value > 0.0:
        return value * exp(part * log(end / value))
    return max(low, value + part * (end - value))


def _moved(name: str, value: float, facts: Mapping[str, Fact], factor: float, score: float) -> float:
    fact = facts[name]
    way = sense(name, fact)
    if fact.low is not None and fact.high is not None and way:
        return between(value, fact.low, fact.high, way * score)
    return value * factor**way
