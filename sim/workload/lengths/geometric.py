"""Geometric counts: each time, the same chance that it was the last."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.errors import ScenarioError
from sim.workload.lengths.law import Floats, LengthLaw, Tokens


@dataclass(frozen=True, slots=True)
class Geometric(LengthLaw):
    """1, 2, 3, ... with probability p (1 - p)^(n - 1), p = 1 / mean.

    Parameters
    ----------
    mean : at least 1.

    Raises
    ------
    ScenarioError : mean below one.
    """

    mean: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and self.mean >= 1):
            raise ScenarioError("must be at least 1", key="mean", value=self.mean, valid=">= 1")

    def quantile(self, uniforms: Floats) -> Tokens:
        """Count at each probability."""
        if self.mean == 1:
            return np.ones(len(uniforms), dtype=np.int64)
        return 1 + np.floor(np.log1p(-uniforms) / math.log1p(-1 / self.mean)).astype(np.int64)

    @property
    def mean_tokens(self) -> float:
        """The mean."""
        return self.mean
