"""One request inside the cluster: a slotted record, never a process."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING

from sim.engine.path import Again

if TYPE_CHECKING:
    from sim.engine.fetch import Fetch
    from sim.engine.lane import Lane
    from sim.engine.path import Path
    from sim.engine.rank import Rank
    from sim.engine.replica import Replica


class State(IntEnum):
    """Where a request stands."""

    BACKOFF = 0
    WAITING = 1
    FETCH = 2
    PREFILL = 3
    DECODE = 4
    COMPLETED = 5
    FAILED = 6
    REFUSED = 7
    ABANDONED = 8


class Request:
    """One request and its progress.

    Attributes
    ----------
    arrival_s : first sent by the client; latencies count from here, across retries.
    input_tokens, output_tokens : drawn on arrival.
    attempt : 0 for the first try.
    replica : where this attempt is, or None between attempts.
    queued_s : since when it waits in a queue of a replica, as far as `Totals.waiting_s` has not booked it.
    last_token_s : when its last token came out before it was preempted.
    generated : tokens generated in this attempt, exact outside decoding; while decoding, as of `join_step`.
    target_tokens : tokens to compute before the next token comes out: the prompt, after preemption the output so far
        too.
    computed_tokens : of these, computed.
    blocks : KV blocks held while fetching or prefilling; while decoding they follow from the step count.
    join_step, join_context : first decode step, and the context that step computes.
    epoch : raised whenever the request leaves a batch, so that stale step marks are recognised.
    hit_tokens : of `computed_tokens`, those found in the prefix cache when it was admitted, and those fetched.
    fetch : what comes over a link while its state is FETCH, and until its next token where it decodes at once.
    prefix, output_first_id : identities of its tokens (`sim.workload.request`).
    tenant, priority, deadline_s : as in `sim.workload.request.RequestDraw`.
    path : where it stands in the prefix cache of its rank; None without one.
    ticket : position in a queue that is not in order of arrival.
    """

    __slots__ = (
        "arrival_s",
        "attempt",
        "blocks",
        "computed_tokens",
        "deadline_s",
        "epoch",
        "fetch",
        "first_token_s",
        "generated",
        "hit_tokens",
        "input_tokens",
        "join_context",
        "join_step",
        "lane",
        "last_token_s",
        "output_first_id",
        "output_tokens",
        "path",
        "preemptions",
        "prefix",
        "priority",
        "queued_s",
        "rank",
        "replica",
        "scheduled_s",
        "session_id",
        "state",
        "target_tokens",
        "tenant",
        "ticket",
    )

    def __init__(
        self,
        arrival_s: float,
        input_tokens: int,
        output_tokens: int,
        session_id: str | None = None,
        prefix: tuple[tuple[int, int], ...] | None = None,
        output_first_id: int | None = None,
        tenant: int = 0,
        priority: int = 0,
        deadline_s: float = math.inf,
    ) -> None:
        self.arrival_s = arrival_s
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.session_id = session_id
        self.prefix = prefix
        self.output_first_id = output_first_id
        self.tenant = tenant
        self.priority = priority
        self.deadline_s = deadline_s
        self.path: Path | None = None
        self.ticket = 0
        self.fetch: Fetch | None = None
        self.hit_tokens = 0
        self.attempt = 0
        self.state = State.BACKOFF
        self.epoch = 0
        self.preemptions = 0
        self.generated = 0
        self.target_tokens = input_tokens
        self.computed_tokens = 0
        self.blocks = 0
        self.join_step = 0
        self.join_context = 0
        self.scheduled_s = -1.0
        self.first_token_s = -1.0
        self.last_token_s = -1.0
        self.queued_s = arrival_s
        self.replica: Replica | None = None
        self.rank: Rank | None = None
        self.lane: Lane | None = None

    def restart(self, cause: Again) -> None:
        """Forget all progress: the attempt was lost, the next one starts from the prompt."""
        path = self.path
        if path is not None:
            path.reset()
            path.again_tokens = min(self.input_tokens, max(path.again_tokens, self.computed_tokens))
            path.again_cause = cause
        self.epoch += 1
        self.generated = 0
        self.target_tokens = self.input_tokens
        self.computed_tokens = self.hit_tokens = 0
        self.blocks = 0
        self.fetch = None
        self.scheduled_s = self.first_token_s = self.last_token_s = -1.0
        self.rank = None
        self.lane = None

    def uproot(self) -> None:
        """Lose the KV but keep the output: the attempt goes on elsewhere, from a prompt that has the output so far."""
        path = self.path
        target_tokens = self.input_tokens + self.generated
        stored = target_tokens - 1 if self.state is State.DECODE else self.computed_tokens
        if path is not None:
            path.reset()
            path.again_tokens = max(path.again_tokens, stored)
            path.again_cause = Again.FAILED
        self.epoch += 1
        self.target_tokens = target_tokens
        self.computed_tokens = self.hit_tokens = 0
        self.blocks = 0
        self.fetch = None
        self.rank = None
        self.lane = None

    @property
    def done(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state >= State.COMPLETED


def output_tokens(request: Request, step: int) -> int:
    """Tokens that a running request has generated before `step`."""
    return request.generated + (step - request.join_step if request.state is State.DECODE else 0)


def blocks_held(request: Request, step: int, block_size: int) -> int:
    """KV blocks that a running request holds before `step`, shared ones too."""
    if request.state is not State.DECODE:
        return request.blocks
    return -(-(request.join_context - 1 + step - request.join_step) // block_size)
