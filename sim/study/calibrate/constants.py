"""The constants of an engine that may be fitted, each with what it may be and what is believed of it beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Final


@dataclass(frozen=True, slots=True)
class Fitted:
    """One constant.

    Attributes
    ----------
    name : key below `deployment.engine`, and parameter of the engines table.
    start, low, high : where the fit begins, and what it may reach.
    scale : size of a change that matters.
    spread : of what is believed beforehand: standard deviation of the logarithm of a factor (which is 1), or of the
        value of anything else (which is 0).
    unit, meaning : as they stand in the catalog.
    """

    name: str
    start: float
    low: float
    high: float
    scale: float
    spread: float
    unit: str
    meaning: str

    @property
    def is_factor(self) -> bool:
        """Whether it multiplies a time, rather than adds to it."""
        return self.start == 1.0

    def surprise(self, value: float, believed: float | None = None) -> float:
        """How far a value is from what is believed beforehand, in standard deviations.

        Parameters
        ----------
        believed : without it, that kernels are as measured alone (factors of 1) and that nothing is added to them.
        """
        if self.is_factor:
            return log(value / (1.0 if believed is None else believed)) / self.spread
        return (value - (0.0 if believed is None else believed)) / self.spread


CONSTANTS: Final = (
    Fitted("host_overhead_ms", 1.3, 0.0, 10.0, 1.5, 4.5, "ms", "host time per step and pipeline stage"),
    Fitted("prefill_overhead_ms", 5.0, 0.0, 100.0, 20.0, 60.0, "ms", "further host time of a step with prompt chunks"),
    Fitted("sequence_overhead_us", 5.0, 0.0, 300.0, 30.0, 90.0, "us", "host time per sequence and step"),
    Fitted("response_latency_ms", 10.0, 0.0, 300.0, 30.0, 90.0, "ms", "front end between engine and client"),
    Fitted("decode_time_factor", 1.0, 0.5, 3.0, 0.3, 0.3, "-", "attention, projections and head in decoding, served"),
    Fitted("prefill_time_factor", 1.0, 0.5, 3.0, 0.3, 0.3, "-", "the same for prompt chunks"),
    Fitted("expert_decode_time_factor", 1.0, 0.5, 3.0, 0.3, 0.3, "-", "routed experts and their traffic in decoding"),
    Fitted("expert_prefill_time_factor", 1.0, 0.5, 5.0, 0.5, 0.5, "-", "the same in steps with prompt chunks"),
)
