"""What is due when: a heap of calls."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import Any


class Agenda:
    """Calls in order of time; those of one moment in the order in which they were entered.

    Attributes
    ----------
    now_s : the time.
    events : calls made so far.
    """

    __slots__ = ("_entered", "_heap", "events", "now_s")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._entered = 0
        self.now_s = 0.0
        self.events = 0

    def at(self, at_s: float, call: Callable[..., None], *arguments: Any) -> None:
        """Enter a call; one that would come at infinity is forgotten."""
        if at_s < inf:
            self._entered += 1
            heappush(self._heap, (at_s, self._entered, call, arguments))

    def run(self, until_s: float) -> None:
        """Make all calls before `until_s`."""
        heap, events = self._heap, 0
        while heap and heap[0][0] < until_s:
            self.now_s, _, call, arguments = heappop(heap)
            events += 1
            call(*arguments)
        self.now_s = until_s
        self.events += events
