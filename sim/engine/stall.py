"""Gaps between tokens where prompts make decoding sequences wait: a step with prompts decodes nothing.

The step counter of the replica counts decode steps, so it stands still meanwhile. When the next decode step ends, the
gap of every sequence is the time since its last token: since the last decode step, or since its prompt was complete.
"""

from __future__ import annotations

from sim.engine.held import Held
from sim.engine.recorder import Recorder
from sim.engine.request import Request


class Stall:
    """The wait under way, if there is one."""

    __slots__ = ("_held", "_joined", "_record")

    def __init__(self, held: Held, record: Recorder) -> None:
        self._held = held
        self._record = record
        self._joined: list[tuple[Request, int, float]] = []

    def begins(self, now_s: float) -> None:
        """A step that decodes nothing begins."""
        if self._held.stalled_since_s is None:
            self._held.stalled_since_s = now_s

    def joins(self, request: Request, now_s: float) -> None:
        """A prompt is complete and its first token out."""
        request.last_token_s = now_s
        self._joined.append((request, request.epoch, now_s))

    def gaps(self, start_s: float, first_s: float, slope_s: float, steps: int) -> None:
        """Book the gaps that end in a span of decode steps, the first of which ends the wait."""
        decoding, since_s = self._held.decoding, self._held.stalled_since_s
        if since_s is not None:
            end_s, others = start_s + first_s, decoding
            for request, epoch, at_s in self._joined:
                if request.epoch == epoch:
                    self._record.gap(end_s - at_s)
                    others -= 1
            if others:
                self._record.gaps(end_s - since_s, 0.0, 1, others)
            self.clear()
            first_s, steps = first_s + slope_s, steps - 1
        if decoding and steps:
            self._record.gaps(first_s, slope_s, steps, decoding)

    def clear(self) -> None:
        """Nobody waits any more."""
        self._held.stalled_since_s = None
        self._joined = []
