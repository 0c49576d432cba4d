"""Years of faults made by hand, for tests of what is joined from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import sim
from sim.faults.transition import Action, Transition
from tests.study_cases import tiny

BUSY: dict[str, Any] = {
    "deployment.replicas": 2,
    "deployment.engine.max_num_seqs": 2,
    "workload.arrivals": {"process": "poisson", "rate_rps": 0.19},
    "workload.output_tokens.tokens": 2400,
    "slo.ttft_ms": 20_000.0,
    "router.request_timeout_s": 300.0,
    "router.max_retries": 2,
    "router.retry_backoff_s": 1.0,
    "run.warmup_s": 1800.0,
    "run.horizon_s": 7200.0,
}


def busy(changes: Mapping[str, Any] | None = None) -> sim.Scenario:
    """Two replicas of which one alone cannot carry the load, few and long requests; clients give up after a while."""
    return tiny(BUSY | dict(changes or {}))


def outage(at_s: float, duration_s: float, replica: int = 0, cause: str = "crash") -> tuple[Transition, ...]:
    """A replica is lost, and back after a time."""
    return (
        Transition(at_s, replica, Action.DOWN, cause),
        Transition(at_s + duration_s, replica, Action.UP, cause),
    )


def in_order(*outages: Sequence[Transition]) -> tuple[Transition, ...]:
    """All transitions in order of time."""
    return tuple(sorted((step for steps in outages for step in steps), key=lambda step: step.at_s))


def drawn_outages(seed: int, horizon_s: float, mtbf_s: float, replicas: int = 2) -> tuple[Transition, ...]:
    """Short crashes and longer outages of each replica on its own, exponential in between."""
    rng = np.random.default_rng(seed)
    found = []
    for replica in range(replicas):
        at_s = float(rng.exponential(mtbf_s))
        while at_s < horizon_s - 7200.0:  # the last one is seen to its end
            short = rng.random() < 0.6
            duration_s = 330.0 if short else 600.0 + min(float(rng.exponential(1500.0)), 3600.0)
            found.append(outage(at_s, duration_s, replica, "crash" if short else "hardware"))
            at_s += duration_s + float(rng.exponential(mtbf_s))
    return in_order(*found)
