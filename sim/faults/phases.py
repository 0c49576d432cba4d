"""Laws of durations: a mixture of phases, each exponential or lognormal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, fsum, log
from statistics import NormalDist

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Phases:
    """A duration that falls into one of several phases.

    Attributes
    ----------
    shares, means_s : chance and mean of each phase.
    sigma : standard deviation of the logarithm within a phase, then lognormal; 0 for exponential phases.

    Raises
    ------
    ValueError : shares that do not add up to one, or a mean or sigma below zero.

    Notes
    -----
    Checked: 0.3, 0.5, 0.2 of 0.25, 12, 120 h: mean 30.075 h, squared coefficient of variation 5.52736405.
    """

    shares: tuple[float, ...]
    means_s: tuple[float, ...]
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if len(self.shares) != len(self.means_s) or abs(fsum(self.shares) - 1.0) > 1e-9:
            raise ValueError(f"as many shares as means, adding up to 1, not {self.shares}")
        if min(self.shares) < 0.0 or min(self.means_s) < 0.0 or self.sigma < 0.0:
            raise ValueError(f"shares, means and sigma must not be negative, not {self}")

    @property
    def mean_s(self) -> float:
        """Mean duration."""
        return fsum(share * mean_s for share, mean_s in zip(self.shares, self.means_s, strict=True))

    @property
    def squared_variation(self) -> float:
        """Variance over squared mean."""
        spread = exp(self.sigma**2) if self.sigma else 2.0  # second moment over squared mean, of one phase
        second = fsum(share * spread * mean_s**2 for share, mean_s in zip(self.shares, self.means_s, strict=True))
        return second / self.mean_s**2 - 1.0

    def draw(self, uniforms: Iterator[float]) -> float:
        """One duration in seconds, from uniform draws in [0, 1)."""
        mean_s = self.means_s[0]
        if len(self.shares) > 1:
            left = next(uniforms)
            for share, phase_s in zip(self.shares, self.means_s, strict=True):
                mean_s = phase_s
                left -= share
                if left < 0.0:
                    break
        if mean_s == 0.0:
            return 0.0
        if self.sigma == 0.0:
            return -mean_s * log(1.0 - next(uniforms))
        normal = _NORMAL.inv_cdf(max(next(uniforms), 1e-300))
        return mean_s * exp(self.sigma * normal - 0.5 * self.sigma**2)


def exponential(mean_s: float) -> Phases:
    """An exponential duration."""
    return Phases((1.0,), (mean_s,))


def lognormal(mean_s: float, sigma: float) -> Phases:
    """A lognormal duration with the given mean."""
    return Phases((1.0,), (mean_s,), sigma)
