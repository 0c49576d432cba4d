"""A figure with its interval, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

CONFIDENCE = 0.95
Sample = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a set of replications says about one figure.

    Attributes
    ----------
    value : the estimate; None where it cannot be given, and `note` says why.
    low, high : interval; None where there is none or that side is unbounded, and `note` says why.
    note : empty when all is well.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""

    def covers(self, truth: float) -> bool:
        """Whether the interval holds `truth`; a missing side is unbounded."""
        return (self.low is None or self.low <= truth) and (self.high is None or truth <= self.high)


def student_factor(degrees: int, confidence: float = CONFIDENCE) -> float:
    """Half-width of a two-sided interval in standard errors, by Student's t law.

    Parameters
    ----------
    degrees : degrees of freedom, >= 1.

    Raises
    ------
    ValueError : fewer than one degree of freedom, or a confidence outside (0, 1).

    Sources
    -------
    Checked: 9 degrees 2.2621572, 19 degrees 2.0930241.
    """
    if degrees < 1:
        raise ValueError(f"an interval needs at least one degree of freedom, not {degrees}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, is {confidence!r}")
    return float(stdtrit(degrees, 0.5 + 0.5 * confidence))


def as_sample(values: npt.ArrayLike) -> Sample:
    """Values as a flat float array.

    Raises
    ------
    ValueError : no value, more than one dimension, or a value that is not finite.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"one row of values is needed, not shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError("values must be finite")
    return sample
