"""A synthetic workload written down as a trace, so that it can be described, saved and fired at a real cluster."""

from __future__ import annotations

import math
from itertools import islice, takewhile

import numpy as np

from sim.errors import ScenarioError
from sim.streams import Streams
from sim.workload.checks import at_least_one, positive
from sim.workload.trace.prompt_runs import PromptRuns
from sim.workload.trace.trace import Trace
from sim.workload.workload import Workload


def sample(workload: Workload, streams: Streams, *, count: int | None = None, horizon_s: float | None = None) -> Trace:
    """The first requests of a workload, the same ones that a simulation with these streams sees.

    Parameters
    ----------
    count : at most this many requests.
    horizon_s : only requests that arrive before this time.

    Raises
    ------
    ScenarioError : neither limit given, a limit that is not positive, or a closed loop.
    TraceError : no request arrives before the horizon.
    """
    if count is None and horizon_s is None:
        raise ScenarioError("give count or horizon_s: a synthetic workload has no end", key="count")
    requests = workload.requests(streams)
    if horizon_s is not None:
        positive("horizon_s", horizon_s)
    end_s = math.inf if horizon_s is None else horizon_s
    requests = takewhile(lambda request: request.arrival_s < end_s, requests)
    if count is not None:
        at_least_one("count", count)
        requests = islice(requests, count)
    rows = list(requests)
    return Trace(
        arrival_s=np.array([row.arrival_s for row in rows], dtype=np.float64),
        input_tokens=np.array([row.input_tokens for row in rows], dtype=np.int64),
        output_tokens=np.array([row.output_tokens for row in rows], dtype=np.int64),
        source=f"sample, seed {streams.seed}, replication {streams.replication}",
        session_ids=None if workload.session_ids is None else tuple(row.session_id for row in rows),
        prompts=None if workload.prefixes is None else PromptRuns.of(row.prefix or () for row in rows),
    )
