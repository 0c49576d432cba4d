"""One reported figure, with its interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of a result, tidy.

    Attributes
    ----------
    option : what it belongs to: the scenario, or one way to pay for it.
    metric, unit : name in the field's terms, and its unit.
    value : the estimate; None where it cannot be given, and `note` says why.
    low, high : 95 % interval; None where there is none (one replication, an exact figure, an unbounded side).
    note : a remark a reader needs.
    """

    option: str
    metric: str
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Plain form for JSON and tables."""
        return asdict(self)
