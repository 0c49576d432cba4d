"""What one replication did between the end of the warm-up and the end of the run."""

from __future__ import annotations

from dataclasses import dataclass

from sim.engine.cluster import Outcome
from sim.engine.totals import Totals


@dataclass(frozen=True, slots=True)
class Window:
    """Counters of the measured window and its length."""

    totals: Totals
    seconds: float
    unfinished: int

    @classmethod
    def of(cls, outcome: Outcome) -> Window:
        """The measured window of an outcome."""
        record = outcome.record
        seconds = max(0.0, outcome.end_s - record.warmup_s)
        if not record.measuring:  # the load ran out before the warm-up was over
            return cls(record.totals.copy(), outcome.end_s, outcome.unfinished)
        return cls(record.totals.since(record.opened), seconds, outcome.unfinished)
