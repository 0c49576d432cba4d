"""Laws of times to failure and to repair: their means, spreads and quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, expm1, gamma, log, sqrt

from scipy.special import ndtri

from sim.oracle.checks import positive


@dataclass(frozen=True, slots=True)
class Weibull:
    """Weibull law; shape below 1 fails early, above 1 wears out.

    Sources
    -------
    Checked: mean 4,800, shape 0.7: scale 3791.997839, scv 2.138685632, P(T < 720) 0.2684238927, median 2246.342028;
    shape 0.45053, scale 50.6847: mean 125.2966871, median 22.46838192, p90 322.7406928.
    """

    shape: float
    scale: float

    @classmethod
    def of_mean(cls, mean: float, shape: float) -> Weibull:
        """The law with that mean and shape."""
        positive(mean=mean, shape=shape)
        return cls(shape, mean / gamma(1.0 + 1.0 / shape))

    @property
    def mean(self) -> float:
        """Mean."""
        return self.scale * gamma(1.0 + 1.0 / self.shape)

    @property
    def scv(self) -> float:
        """Squared coefficient of variation."""
        return gamma(1.0 + 2.0 / self.shape) / gamma(1.0 + 1.0 / self.shape) ** 2 - 1.0

    def at_most_frac(self, time: float) -> float:
        """Chance of at most `time`."""
        return -expm1(-((time / self.scale) ** self.shape))

    def quantile(self, p: float) -> float:
        """Time that a share `p` does not exceed."""
        return float(self.scale * (-log(1.0 - p)) ** (1.0 / self.shape))


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal law by the mean and the standard deviation of the logarithm.

    Sources
    -------
    Checked: mu 2.5, sigma 1.2: mean 25.02812018, median 12.18249396, p90 56.70497099.
    """

    mu: float
    sigma: float

    @property
    def mean(self) -> float:
        """Mean."""
        return exp(self.mu + self.sigma**2 / 2.0)

    @property
    def variance(self) -> float:
        """Variance."""
        return self.mean**2 * expm1(self.sigma**2)

    def quantile(self, p: float) -> float:
        """Time that a share `p` does not exceed."""
        return exp(self.mu + self.sigma * float(ndtri(p)))

    def limited_mean(self, limit: float) -> float:
        """Mean of min(T, limit): what is lost of an outage that ends after `limit` at the latest."""
        positive(limit=limit)
        z = (log(limit) - self.mu) / self.sigma
        return self.mean * _normal(z - self.sigma) + limit * (1.0 - _normal(z))


@dataclass(frozen=True, slots=True)
class HyperExponential:
    """A mixture of exponential laws.

    Attributes
    ----------
    shares : probability of each phase, sum one.
    means : mean of each phase.

    Sources
    -------
    Checked: 0.3 at 0.25 h, 0.5 at 12 h, 0.2 at 120 h: mean 30.075 h, scv 5.52736405.
    """

    shares: tuple[float, ...]
    means: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean."""
        return sum(share * mean for share, mean in zip(self.shares, self.means, strict=True))

    @property
    def scv(self) -> float:
        """Squared coefficient of variation."""
        square = sum(2.0 * share * mean**2 for share, mean in zip(self.shares, self.means, strict=True))
        return square / self.mean**2 - 1.0

    def limited_mean(self, limit: float) -> float:
        """Mean of min(T, limit)."""
        return sum(-share * mean * expm1(-limit / mean) for share, mean in zip(self.shares, self.means, strict=True))


def early_life_faults(base_rate: float, excess: float, decay: float, time: float) -> float:
    """Mean number of faults of one unit up to `time` when young units fail more: rate r0 (1 + a exp(-t / tau)).

    Sources
    -------
    r0 (t + a tau (1 - exp(-t / tau))). Checked: 1/4,800 h, a = 2, tau = 720 h: 0.3396361676 after 720 h, 0.7350638795
    after 2,160 h, 2.1249984400 after 8,760 h.
    """
    positive(base_rate=base_rate, decay=decay)
    return base_rate * (time - excess * decay * expm1(-time / decay))


def _normal(z: float) -> float:
    return 0.5 * (1.0 + erf(z / sqrt(2.0)))
