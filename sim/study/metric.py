"""One reported figure, with its interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf

from sim.stats.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of a result, tidy.

    Attributes
    ----------
    option : what it belongs to: the scenario, or one way to pay for it.
    metric, unit : name in the field's terms, and its unit.
    value : the estimate; None where it cannot be given, and `note` says why.
    low, high : 95 % interval; None where there is none (one replication, an exact figure, an unbounded side).
    model_low, model_high : 80 % model interval, over draws of the model's coefficients; None where none were drawn.
    note : a remark a reader needs.
    """

    option: str
    metric: str
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    model_low: float | None = None
    model_high: float | None = None

    def as_dict(self) -> dict[str, object]:
        """Plain form for JSON and tables."""
        return asdict(self)

    @classmethod
    def of(cls, option: str, name: str, unit: str, estimate: Estimate, note: str = "") -> Metric:
        """The metric for an estimate of a quantity that is never negative, and at most 1 if it is a fraction.

        The ends of Student's interval know nothing of such bounds; beyond them it holds no possible value.
        """
        top = 1.0 if unit == "fraction" else inf
        value, low, high = (
            None if end is None else min(max(end, 0.0), top) for end in (estimate.value, estimate.low, estimate.high)
        )
        return cls(option, name, unit, value, low, high, "; ".join(text for text in (estimate.note, note) if text))
