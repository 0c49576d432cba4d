"""Prompt and output lengths of the calls of sessions, whatever the times at which they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from sim.streams import BLOCK, Streams
from sim.workload.lengths.law import Tokens
from sim.workload.lengths.lengths import LengthSource
from sim.workload.sessions.source import SessionSource, calls_of

SAMPLED_SESSIONS = 200


@dataclass(frozen=True, slots=True)
class SessionLengths(LengthSource):
    """Lengths of calls, session by session; their means are those of the first sessions, since no formula gives them.

    Parameters
    ----------
    source : where the sessions come from.
    """

    source: SessionSource

    def blocks(self, streams: Streams) -> Iterator[tuple[Tokens, Tokens]]:
        """Input and output lengths, ending with the last session."""
        calls = chain.from_iterable(map(calls_of, self.source.sessions(streams)))
        while rows := [(call.input_tokens, call.output_tokens) for call in islice(calls, BLOCK)]:
            both = np.array(rows, dtype=np.int64)
            yield both[:, 0], both[:, 1]

    @property
    def mean_input_tokens(self) -> float:
        """Mean over the calls of the first sessions."""
        return self._means()[0]

    @property
    def mean_output_tokens(self) -> float:
        """Mean over the calls of the first sessions."""
        return self._means()[1]

    def _means(self) -> tuple[float, float]:
        sessions = islice(self.source.sessions(Streams(0)), SAMPLED_SESSIONS)
        calls = chain.from_iterable(map(calls_of, sessions))
        both = np.array([(call.input_tokens, call.output_tokens) for call in calls], dtype=np.float64)
        return float(both[:, 0].mean()), float(both[:, 1].mean())
