"""All changes that a replay makes to its trace, in one fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.streams import Streams
from sim.workload.checks import at_least_one, between, positive
from sim.workload.trace.scale import dequantise, replicate, thin, time_warp
from sim.workload.trace.trace import Trace


@dataclass(frozen=True, slots=True)
class Scaling:
    """What is done to a trace before it is replayed: dequantise, thin, replicate, time warp, cut, start at zero.

    Parameters
    ----------
    dequantise_s : tick of a coarse clock, `auto` to find it, None to leave the times alone.
    thin_frac : share of requests kept.
    replicate : copies laid over each other.
    time_warp : factor by which times shrink.
    max_requests : the earliest ones only.

    Raises
    ------
    ScenarioError : a value out of range.
    """

    dequantise_s: float | Literal["auto"] | None = None
    thin_frac: float = 1.0
    replicate: int = 1
    time_warp: float = 1.0
    max_requests: int | None = None

    def __post_init__(self) -> None:
        if self.dequantise_s is not None and self.dequantise_s != "auto":
            positive("dequantise_s", self.dequantise_s)
        between("thin_frac", self.thin_frac, 0.0, 1.0)
        at_least_one("replicate", self.replicate)
        positive("time_warp", self.time_warp)
        if self.max_requests is not None:
            at_least_one("max_requests", self.max_requests)

    @property
    def draws(self) -> bool:
        """Whether the result depends on the random streams."""
        return self.dequantise_s is not None or self.thin_frac < 1 or self.replicate > 1

    def apply(self, trace: Trace, streams: Streams) -> Trace:
        """The trace to replay in the replication of these streams.

        Raises
        ------
        TraceError : no request is left, or the clock shows no tick where one is to be found.
        """
        if self.dequantise_s is not None:
            trace = dequantise(trace, streams, None if self.dequantise_s == "auto" else self.dequantise_s)
        if self.thin_frac < 1:
            trace = thin(trace, self.thin_frac, streams)
        if self.replicate > 1:
            trace = replicate(trace, self.replicate, streams=streams)
        if self.time_warp != 1:
            trace = time_warp(trace, self.time_warp)
        if self.max_requests is not None and self.max_requests < len(trace):
            trace = trace.take(np.arange(self.max_requests))
        return trace.from_zero()


@dataclass(frozen=True, slots=True)
class ScaledTrace:
    """A trace and what is done to it in each replication.

    Parameters
    ----------
    trace : as read.
    scaling : the changes.
    """

    trace: Trace
    scaling: Scaling

    def drawn(self, streams: Streams) -> Trace:
        """The trace of one replication."""
        return self.scaling.apply(self.trace, streams)
