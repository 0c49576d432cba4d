"""Arrivals replayed from a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.streams import BLOCK, Streams
from sim.workload.arrivals.process import BlockDrawn, Times
from sim.workload.trace.trace import Trace


@dataclass(frozen=True, slots=True)
class TraceArrivals(BlockDrawn):
    """The arrival times of a trace, as they are, and then no more.

    Parameters
    ----------
    trace : the requests to replay. To change its load use `time_warp`, `thin` or `replicate`, which differ.
    """

    trace: Trace

    @property
    def rate_rps(self) -> float:
        """Requests over the time from the first to the last; 0 when all arrive at once."""
        span_s = self.trace.span_s
        return len(self.trace) / span_s if span_s > 0 else 0.0

    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:  # noqa: ARG002  draws nothing
        """Arrival times as consecutive arrays, ending with the trace."""
        for start in range(0, len(self.trace), BLOCK):
            yield self.trace.arrival_s[start : start + BLOCK]
