"""How far the piles of jobs came by their due times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from sim.engine.request import Request
from sim.measure.histogram import BufferedHistogram
from sim.workload.batch import Pile

Piles = tuple[int, Pile]  # tenant, pile
FLUSH = 16_384


@dataclass(slots=True)
class PileState:
    """One pile of one tenant.

    Attributes
    ----------
    tenant, pile : whose, and what it is.
    completed, on_time : jobs that completed, and those that did by the due time.
    last_s : end of the last of them so far; the pile's completion once all have completed.
    """

    tenant: int
    pile: Pile
    completed: int = 0
    on_time: int = 0
    last_s: float = -inf


class PileTally:
    """Piles by tenant and due time.

    Attributes
    ----------
    states : of every pile, in order of tenant and release.
    lateness_s : by tenant: end minus due time of each completed job, 0 for one that was on time.
    """

    __slots__ = ("_by_due", "lateness_s", "states")

    def __init__(self, piles: Sequence[Piles]) -> None:
        self.states = [PileState(tenant, pile) for tenant, pile in piles]
        self._by_due = {(state.tenant, state.pile.due_s): state for state in self.states}
        self.lateness_s = {tenant: BufferedHistogram() for tenant, _ in piles}

    def completed(self, request: Request, now_s: float) -> None:
        """A job is done; a request without a due time belongs to no pile."""
        due_s = request.deadline_s
        if due_s == inf:
            return
        state = self._by_due.get((request.tenant, due_s))
        if state is None:
            return
        state.completed += 1
        state.on_time += now_s <= due_s
        state.last_s = now_s
        lateness = self.lateness_s[request.tenant]
        lateness.pending.append(max(0.0, now_s - due_s))
        if len(lateness.pending) >= FLUSH:
            lateness.flush()

    def flush(self) -> None:
        """All values into the histograms."""
        for histogram in self.lateness_s.values():
            histogram.flush()
