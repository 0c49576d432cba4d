"""The queue of one rank where its order is not that of arrival: a heap, so that long queues are not scanned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Protocol

from sim.engine.plan import SchedulingPolicy
from sim.engine.request import Request


class Line(Iterable[Request], Protocol):
    """What a rank asks of its queue; a deque serves where the order is that of arrival."""

    def __len__(self) -> int: ...

    def append(self, request: Request, /) -> None:
        """Take a request that is new here."""

    def appendleft(self, request: Request, /) -> None:
        """Take a request back that has run."""

    def remove(self, request: Request, /) -> None:
        """Take a request out."""


class WaitingHeap:
    """Waiting requests, head first by the scheduling policy.

    `shortest_prefill` goes by the tokens to compute, then by position: who is put back stands before everybody.
    `priority` goes by class (lower first), then by arrival at the engine, which who is put back keeps (as in vLLM).

    Requests that are taken out from the middle stay in the heap until they come up.
    """

    __slots__ = ("_first", "_heap", "_here", "_last", "_priority")

    def __init__(self, policy: SchedulingPolicy) -> None:
        self._priority = policy == "priority"
        self._heap: list[tuple[int, int, Request]] = []
        self._here: dict[Request, int] = {}
        self._last = 0
        self._first = 0

    def __len__(self) -> int:
        return len(self._here)

    def __iter__(self) -> Iterator[Request]:
        """In order of position, whatever the policy."""
        return iter(sorted(self._here, key=_ticket))

    def append(self, request: Request) -> None:
        """Take a request that is new here."""
        self._last += 1
        request.ticket = self._last
        self._push(request)

    def appendleft(self, request: Request) -> None:
        """Take a request back that has run."""
        if not self._priority:
            self._first -= 1
            request.ticket = self._first
        self._push(request)

    def _push(self, request: Request) -> None:
        self._here[request] = request.ticket
        rank = request.priority if self._priority else request.target_tokens
        heappush(self._heap, (rank, request.ticket, request))

    def head(self) -> Request:
        """The next to run; somebody must be here."""
        heap, here = self._heap, self._here
        while here.get(heap[0][2]) != heap[0][1]:
            heappop(heap)
        return heap[0][2]

    def remove(self, request: Request) -> None:
        """Take a request out."""
        del self._here[request]
        if self._heap[0][2] is request:
            heappop(self._heap)


def _ticket(request: Request) -> int:
    return request.ticket
