"""Where a workload takes its sessions from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from sim.streams import Streams
from sim.workload.sessions.call import Call, Fork
from sim.workload.sessions.session import Session


class SessionSource(ABC):
    """Makes sessions one after another, each drawn as a whole from named streams.

    The i-th session is the same whatever arrives between and whatever the cluster does.
    """

    __slots__ = ()

    @abstractmethod
    def sessions(self, streams: Streams) -> Iterator[Session]:
        """Sessions in order of arrival, with arrival times still to be set; endless unless a file ends."""


def calls_of(session: Session) -> Iterator[Call]:
    """All calls of a session in order, those of sub-agents where they start, one sub-agent after the other."""
    while (step := session.next_step()) is not None:
        if isinstance(step, Fork):
            for child in step.children:
                yield from calls_of(child)
        else:
            yield step
