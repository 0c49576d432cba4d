"""The course of a run, in bins of equal width: what became of the requests that arrived in each, and when."""

from __future__ import annotations

from math import ceil

from sim.engine.totals import Totals


class Course:
    """Requests by the bin they arrived in, and the counters at the end of each bin.

    A request belongs to the bin of its arrival whenever it ends, so a fault shows where its victims came in. Counters
    belong to the bin in which they count. Those in seconds are as they were last settled.

    Parameters
    ----------
    width_s : of a bin.
    horizon_s : the last bin may end beyond it.

    Attributes
    ----------
    arrived, completed, good, good_tokens, ttft_s : (bins,) requests, requests that got their answer, those within the
        service level and their output tokens, and the sum of the TTFT of the completed ones.
    marks : counters at the end of every bin that is over.
    """

    def __init__(self, width_s: float, horizon_s: float) -> None:
        bins = max(1, ceil(horizon_s / width_s - 1e-9)) + 1  # one more for what arrives at the very end
        self.width_s = width_s
        self.arrived = [0] * bins
        self.completed = [0] * bins
        self.good = [0] * bins
        self.good_tokens = [0] * bins
        self.ttft_s = [0.0] * bins
        self.marks: list[Totals] = []

    def arrives(self, now_s: float) -> None:
        """A client sent its first attempt."""
        self.arrived[int(now_s / self.width_s)] += 1

    def completes(self, arrival_s: float, ttft_s: float, output_tokens: int, *, good: bool) -> None:
        """The last token of a request is out."""
        index = int(arrival_s / self.width_s)
        self.completed[index] += 1
        self.ttft_s[index] += ttft_s
        if good:
            self.good[index] += 1
            self.good_tokens[index] += output_tokens

    def mark(self, totals: Totals) -> None:
        """A bin is over."""
        self.marks.append(totals.copy())
