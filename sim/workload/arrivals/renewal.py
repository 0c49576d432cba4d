"""Renewal arrivals: independent gaps with a chosen coefficient of variation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.errors import ScenarioError
from sim.streams import BLOCK, Streams
from sim.workload.arrivals.process import BlockDrawn, Times
from sim.workload.checks import between, positive

GapLaw = Literal["gamma", "weibull"]
MAX_CV = 30.0


def cv_from_burstiness(burstiness: float) -> float:
    """Coefficient of variation of the gaps for vLLM's `--burstiness`, the shape of a Gamma law: 1 / sqrt(burstiness).

    Infinity gives 0, equal gaps; 1 gives 1, Poisson; 0.231, the maximum-likelihood shape of the Azure 2023 code trace,
    gives 2.08.

    Raises
    ------
    ScenarioError : burstiness is not positive.
    """
    if not burstiness > 0:
        raise ScenarioError("must be positive", key="burstiness", value=burstiness, valid="> 0, or inf")
    return 1.0 / math.sqrt(burstiness)


def weibull_cv(shape: float) -> float:
    """Coefficient of variation of a Weibull law; 1 at shape 1, 2.91 at shape 0.419."""
    return math.sqrt(math.expm1(math.lgamma(1 + 2 / shape) - 2 * math.lgamma(1 + 1 / shape)))


def weibull_shape(cv: float) -> float:
    """Shape of the Weibull law with a given coefficient of variation, by bisection to machine precision."""
    low, high = 0.05, 4 / cv + 1
    while high - low > 1e-15 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if weibull_cv(middle) > cv else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Renewal(BlockDrawn):
    """Independent gaps of a Gamma or Weibull law.

    The process is stationary: its first gap follows the equilibrium law (a length-biased gap times a uniform), so the
    expected number of arrivals in (0, t] is exactly rate x t, not inflated by a burst at time zero.

    Parameters
    ----------
    law : `gamma` or `weibull`.
    rate_rps : mean arrivals per second.
    cv : standard deviation over mean of the gaps; 0 gives equal gaps with a random phase. From vLLM's burstiness by
        `cv_from_burstiness`. A single CV does not describe a bursty trace on all time scales; see `Mmpp`.

    Raises
    ------
    ScenarioError : unknown law, rate not positive, or cv outside [0, 30].
    """

    law: GapLaw
    rate_rps: float
    cv: float

    def __post_init__(self) -> None:
        if self.law not in ("gamma", "weibull"):
            raise ScenarioError("is no renewal law", key="law", value=self.law, valid="gamma, weibull")
        positive("rate_rps", self.rate_rps)
        between("cv", self.cv, 0.0, MAX_CV)
        if 0 < self.cv < 0.001:
            raise ScenarioError("is too small to tell from equal gaps", key="cv", value=self.cv, valid="0, or >= 0.001")

    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:
        """Arrival times as consecutive arrays, without end."""
        rng = streams.generator(name)
        first, gaps = self._unit_gaps(rng)
        last_s = first / self.rate_rps
        yield np.array([last_s])
        while True:
            times_s = last_s + np.cumsum(gaps(BLOCK)) / self.rate_rps
            last_s = float(times_s[-1])
            yield times_s

    def _unit_gaps(self, rng: np.random.Generator) -> tuple[float, Callable[[int], Times]]:
        """First gap and further gaps, all with mean one."""
        phase = rng.random()
        if self.cv == 0:
            return phase, np.ones
        if self.law == "gamma":
            shape = 1 / self.cv**2
            return phase * rng.standard_gamma(shape + 1) / shape, lambda n: rng.standard_gamma(shape, n) / shape
        shape = weibull_shape(self.cv)
        scale = math.exp(-math.lgamma(1 + 1 / shape))
        # x f(x) of a Weibull law is the law of scale * G^(1/shape) with G ~ Gamma(1 + 1/shape)
        first = phase * scale * rng.standard_gamma(1 + 1 / shape) ** (1 / shape)
        return first, lambda n: scale * rng.weibull(shape, n)
