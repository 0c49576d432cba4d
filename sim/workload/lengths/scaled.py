"""A length law with every length multiplied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.workload.checks import positive
from sim.workload.lengths.law import Floats, LengthLaw, Tokens, whole


@dataclass(frozen=True, slots=True)
class Scaled(LengthLaw):
    """Lengths of another law times a factor, at least one token.

    Parameters
    ----------
    law : what is scaled.
    factor : above zero.

    Raises
    ------
    ScenarioError : the factor is not positive.
    """

    law: LengthLaw
    factor: float

    def __post_init__(self) -> None:
        positive("factor", self.factor)

    def quantile(self, uniforms: Floats) -> Tokens:
        """Length at each probability."""
        return whole(self.law.quantile(uniforms).astype(np.float64) * self.factor)

    @property
    def mean_tokens(self) -> float:
        """Mean of the law times the factor, before rounding."""
        return self.law.mean_tokens * self.factor
