"""Rates of the parts of a mix that have a share of its requests or tokens."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice

from sim.scenario.mix import MixSection
from sim.streams import Streams
from sim.workload.sessions.source import SessionSource, calls_of
from sim.workload.workload import Workload

SAMPLED_SESSIONS = 2000  # no formula gives the calls and tokens of a session; their mean is good to 1 to 4 %


def rate_of_share(mix: MixSection, share_frac: float, workload: Workload) -> float:
    """Arrivals per second, of requests or of sessions, that bring a part its share.

    Parameters
    ----------
    workload : the part at any rate.
    """
    calls, tokens = _per_arrival(workload)
    if mix.share_by == "requests":
        assert mix.total_rate_rps is not None, "the schema asks for the total of what is shared"
        return share_frac * mix.total_rate_rps / calls
    assert mix.total_tokens_per_s is not None, "the schema asks for the total of what is shared"
    return share_frac * mix.total_tokens_per_s / tokens


def _per_arrival(workload: Workload) -> tuple[float, float]:
    """Mean calls, and mean prompt and output tokens, of one arrival."""
    if workload.sessions is None:
        return 1.0, workload.mean_input_tokens + workload.mean_output_tokens
    return _per_session(workload.sessions)


@lru_cache(maxsize=32)
def _per_session(source: SessionSource) -> tuple[float, float]:
    """Mean calls and tokens of the first sessions; every replication asks again, so the answer is kept."""
    sessions = list(islice(source.sessions(Streams(0)), SAMPLED_SESSIONS))
    calls = [call for session in sessions for call in calls_of(session)]
    tokens = sum(call.input_tokens + call.output_tokens for call in calls)
    return len(calls) / len(sessions), tokens / len(sessions)
