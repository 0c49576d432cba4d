"""What every length law offers."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.int64]


class LengthLaw(ABC):
    """A law of whole token counts, at least 1, drawn by inversion: one uniform per request.

    Inversion keeps draws aligned: changing a law's parameters moves every request's length a little instead of
    reshuffling them, and a copula can tie two laws together.
    """

    __slots__ = ()

    @abstractmethod
    def quantile(self, uniforms: Floats) -> Tokens:
        """Length at each probability in [0, 1)."""

    @property
    @abstractmethod
    def mean_tokens(self) -> float:
        """Mean length."""

    def draw(self, rng: np.random.Generator, n: int) -> Tokens:
        """`n` independent lengths."""
        return self.quantile(rng.random(n))


def whole(tokens: Floats, low: int = 1) -> Tokens:
    """Rounded to whole tokens, not below `low`."""
    return np.maximum(np.rint(tokens), low).astype(np.int64)
