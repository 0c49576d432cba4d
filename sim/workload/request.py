"""What the workload hands to the cluster: one tuple per request, everything drawn on arrival."""

from __future__ import annotations

import math
from typing import NamedTuple

from sim.workload.runs import Runs


class RequestDraw(NamedTuple):
    """One request as it arrives.

    Attributes
    ----------
    arrival_s : seconds since the start of the run; not below that of the request before it.
    input_tokens : prompt length, >= 1.
    output_tokens : generated length, >= 1 (an engine always samples at least one token).
    session_id : label that ties calls of one conversation together, or None.
    prefix : what the prompt consists of, as runs of token identities; tokens beyond them are of this request alone.
        None where nothing is known to be shared.
    output_first_id : identity of the first output token, the next ones count up from it; None when no later prompt
        contains the output.
    tenant : index of the part of the load that it belongs to (`sim.engine.cluster.Load.tenants`).
    priority : lower goes first where the scheduling policy looks at it, as in vLLM.
    deadline_s : when it should be complete at the latest; infinite without a deadline.
    """

    arrival_s: float
    input_tokens: int
    output_tokens: int
    session_id: str | None = None
    prefix: Runs | None = None
    output_first_id: int | None = None
    tenant: int = 0
    priority: int = 0
    deadline_s: float = math.inf
