"""Requests of one replica whose transfer of KV is over.

They go on at the next step boundary. One that decodes at once puts its next token out a step later; the gap before that
token reaches back to its last token, before the transfer.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.engine.lane import Lane
from sim.engine.rank import Rank
from sim.engine.recorder import Recorder
from sim.engine.request import Request, State


class Landings:
    """Transfers that are over, and sequences that resume.

    Attributes
    ----------
    waiting : (rank, request, its epoch when the transfer began) for the next step boundary.
    resumed : (request, epoch) that began to decode at the last boundary with a token put out before.
    """

    __slots__ = ("_record", "resumed", "waiting")

    def __init__(self, record: Recorder) -> None:
        self._record = record
        self.waiting: list[tuple[Rank, Request, int]] = []
        self.resumed: list[tuple[Request, int]] = []

    def clear(self) -> None:
        """The replica died."""
        self.waiting.clear()
        self.resumed.clear()

    def decoding(self, step: int) -> Iterator[tuple[Rank, Lane, Request]]:
        """Let everybody go on from `step`; yields those that have nothing left to compute."""
        waiting, self.waiting = self.waiting, []
        for rank, request, epoch in waiting:
            if request.epoch == epoch:
                lane = rank.land(request, step)
                if request.state is State.FETCH:
                    self.resumed.append((request, request.epoch))
                    yield rank, lane, request

    def gaps(
        self, start_s: float, first_s: float, slope_s: float, steps: int, decoding: int, late_s: float = 0.0
    ) -> None:
        """Gaps between tokens as `Recorder.gaps` has them, for steps the first of which began at `start_s`.

        Parameters
        ----------
        late_s : how long before that the others put out their last token.
        """
        record = self._record
        resumed = [request for request, epoch in self.resumed if request.epoch == epoch]
        self.resumed.clear()
        for request in resumed:
            record.gap(start_s + first_s - request.last_token_s)
            request.fetch = None
        if decoding > len(resumed):
            record.gaps(late_s + first_s, 0.0, 1, decoding - len(resumed))
        if steps > 1:
            record.gaps(first_s + slope_s, slope_s, steps - 1, decoding)
