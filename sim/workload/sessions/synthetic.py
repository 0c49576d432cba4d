"""A session drawn from laws: a growing context, its breaks and its compactions."""

from __future__ import annotations

import math

from sim.workload.runs import Run, Runs, leading, length
from sim.workload.sessions.call import Call, Fork
from sim.workload.sessions.laws import SessionLaws
from sim.workload.sessions.session import Session


class SyntheticSession(Session):
    """Calls whose lengths, pauses and breaks were drawn beforehand.

    Parameters
    ----------
    laws : rules that hold for all calls.
    shared : runs at the start of every prompt.
    first_id : start of the session's own range of identities.
    new_tokens, output_tokens, gaps_s, breaks : one entry per call; with `laws.first_is_whole` the first prompt (without
        history every prompt) counts whole, shared text included.
    forks : sub-agents, by the number of the call that waits for them.
    """

    __slots__ = ("_at", "_breaks", "_forks", "_gaps_s", "_laws", "_new", "_next_id", "_output", "_own", "_shared")

    def __init__(
        self,
        session_id: str,
        laws: SessionLaws,
        shared: Runs,
        first_id: int,
        new_tokens: list[int],
        output_tokens: list[int],
        gaps_s: list[float],
        breaks: list[bool] | None,
        forks: dict[int, tuple[Session, ...]] | None = None,
        patience_s: float = math.inf,
    ) -> None:
        super().__init__(session_id, 0.0, patience_s)
        self._laws = laws
        self._shared = shared
        self._next_id = first_id
        self._new = new_tokens
        self._output = output_tokens
        self._gaps_s = gaps_s
        self._breaks = breaks
        self._forks = forks or {}
        self._own: list[Run] = []
        self._at = 0

    @property
    def steps_left(self) -> int:
        """Calls and forks that are still to come."""
        return len(self._new) - self._at + len(self._forks)

    def next_step(self) -> Call | Fork | None:
        """The next call or group of sub-agents; None when the session is over."""
        at = self._at
        if self._forks and at in self._forks:
            return Fork(self._forks.pop(at))
        if at == len(self._new):
            return None
        self._at = at + 1
        laws, output_tokens = self._laws, self._output[at]
        fresh = at == 0 or not laws.keeps_history
        if fresh:
            self._own = []
        elif self._breaks is not None and self._breaks[at]:
            self._edit(laws.break_kept_frac)
        new_tokens = self._new[at]
        if laws.new_includes_answer and not fresh:
            new_tokens = max(1, new_tokens - round(laws.output_kept_frac * self._output[at - 1]))
        shared = self._add(new_tokens, output_tokens, whole=fresh and laws.first_is_whole)
        prefix = (*shared, *self._own)
        output_first_id = self._keep(output_tokens) if laws.keeps_history else None
        return Call(self._gaps_s[at], length(prefix), output_tokens, prefix, output_first_id)

    def _edit(self, kept_frac: float) -> None:
        """The history was edited: as long as before, but what follows the edit is in no cache."""
        own = length(self._own)
        kept = int(kept_frac * own)
        self._own = list(leading(self._own, kept))
        self._grow(own - kept)

    def _add(self, new_tokens: int, output_tokens: int, *, whole: bool) -> Runs:
        """Append what the call adds, after a compaction where it would not fit; returns the shared text before it."""
        shared, limit = self._shared, self._laws.max_context_tokens
        if whole:
            shared = leading(shared, new_tokens - 1)
            new_tokens -= length(shared)
            if self._laws.keeps_history:
                self._shared = shared
        if limit is not None:
            before, own = length(shared), length(self._own)
            if own and before + own + new_tokens + output_tokens > limit:
                summary = max(0, min(own, int(self._laws.compact_to_frac * limit) - before))
                self._own = []
                self._grow(summary)
                own = summary
            new_tokens = max(1, min(new_tokens, limit - output_tokens - before - own))
        self._grow(new_tokens)
        return shared

    def _keep(self, output_tokens: int) -> int | None:
        """Put the answer into the history; its first identity, if the next prompt finds it where it was computed."""
        kept_frac = self._laws.output_kept_frac
        if kept_frac == 1.0:
            first_id = self._next_id
            self._grow(output_tokens)
            return first_id
        self._grow(round(kept_frac * output_tokens))
        return None

    def _grow(self, tokens: int) -> None:
        """Append tokens that nobody has seen; they join the last run where they continue it."""
        own, first = self._own, self._next_id
        if own and own[-1][0] + own[-1][1] == first:
            own[-1] = (own[-1][0], own[-1][1] + tokens)
        elif tokens:
            own.append((first, tokens))
        self._next_id = first + tokens
