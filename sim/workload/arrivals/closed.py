"""The closed loop: a fixed number of callers, each waiting for its answer."""

from __future__ import annotations

from dataclasses import dataclass

from sim.workload.checks import at_least_one, not_negative


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """`concurrency` callers; each sends its next request `think_s` after the answer to the one before.

    It has no arrival times of its own: the cluster's completions make them. It measures throughput at a fixed load, as
    published benchmarks do; it never queues without bound, so it must not support a claim about a service level.

    Parameters
    ----------
    concurrency : callers, all starting at time zero.
    think_s : pause between an answer and the next request.

    Raises
    ------
    ScenarioError : fewer than one caller, or a negative pause.
    """

    concurrency: int
    think_s: float = 0.0

    def __post_init__(self) -> None:
        at_least_one("concurrency", self.concurrency)
        not_negative("think_s", self.think_s)
