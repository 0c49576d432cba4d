"""Pauses between calls: those of tools, and those of people."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.workload.checks import not_negative, positive
from sim.workload.lengths.law import Floats


@dataclass(frozen=True, slots=True)
class GapLaw:
    """exp(N(ln median, sigma^2)) seconds, cut at a longest pause.

    Parameters
    ----------
    median_s, sigma : of the law before it is cut; sigma zero for a constant.
    max_s : longer pauses count as this; no limit when infinite.

    Raises
    ------
    ScenarioError : median or limit not positive, or sigma negative.
    """

    median_s: float
    sigma: float
    max_s: float = math.inf

    def __post_init__(self) -> None:
        positive("median_s", self.median_s)
        not_negative("sigma", self.sigma)
        if self.max_s != math.inf:
            positive("max_s", self.max_s)

    def quantile(self, uniforms: Floats) -> Floats:
        """Pause at each probability."""
        from scipy.special import ndtri

        exponents = self.sigma * ndtri(np.maximum(uniforms, np.finfo(np.float64).tiny))
        return np.minimum(self.median_s * np.exp(np.minimum(exponents, 100.0)), self.max_s)


@dataclass(frozen=True, slots=True)
class Gaps:
    """A mixture: mostly the law between an agent's calls, now and then that of the person who reads the answer.

    Parameters
    ----------
    between : pause after an answer that the agent itself goes on from.
    human : pause after an answer to the person; None where there is one kind of pause only.
    human_frac : share of answers that go to the person.
    """

    between: GapLaw
    human: GapLaw | None = None
    human_frac: float = 0.0

    def quantile(self, kinds: Floats, uniforms: Floats) -> Floats:
        """Pauses; `kinds` tells whether the person's law applies, `uniforms` how long it is."""
        gaps_s = self.between.quantile(uniforms)
        if self.human is None:
            return gaps_s
        return np.where(kinds < self.human_frac, self.human.quantile(uniforms), gaps_s)
