"""One measured figure that has a target of its own, beside the simulated one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A figure or a ratio of two, measured and simulated.

    Attributes
    ----------
    group : what it is a case of, such as `one option changed`.
    name : which case.
    measured, predicted : tokens/s per GPU, or a ratio of two of them.
    target_frac : largest absolute error that is aimed at.
    """

    group: str
    name: str
    measured: float
    predicted: float
    target_frac: float

    @property
    def error_frac(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1.0

    @property
    def met(self) -> bool:
        """Whether the error is within its target."""
        return abs(self.error_frac) <= self.target_frac
