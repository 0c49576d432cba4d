"""All requests of one length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.workload.checks import at_least_one
from sim.workload.lengths.law import Floats, LengthLaw, Tokens


@dataclass(frozen=True, slots=True)
class Constant(LengthLaw):
    """Every request has `tokens` tokens.

    Raises
    ------
    ScenarioError : fewer than one token.
    """

    tokens: int

    def __post_init__(self) -> None:
        at_least_one("tokens", self.tokens)

    def quantile(self, uniforms: Floats) -> Tokens:
        """The one length, once per probability."""
        return np.full(len(uniforms), self.tokens, dtype=np.int64)

    @property
    def mean_tokens(self) -> float:
        """The one length."""
        return float(self.tokens)
