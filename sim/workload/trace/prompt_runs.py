"""Prompts of many requests as runs of token identities, kept in three flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sim.workload.runs import Runs

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PromptRuns:
    """The runs of each request; equal leading identities mean an equal prefix.

    Attributes
    ----------
    first : first identity of each run, request after request.
    tokens : length of each run.
    offsets : start of each request's runs, and the total: one more than there are requests.
    """

    first: Ids
    tokens: Ids
    offsets: Ids

    @classmethod
    def of(cls, prompts: Iterable[Runs]) -> PromptRuns:
        """The table of the given prompts."""
        rows = list(prompts)
        flat = np.array([run for row in rows for run in row], dtype=np.int64).reshape(-1, 2)
        counts = np.array([0, *map(len, rows)], dtype=np.int64)
        return cls(flat[:, 0].copy(), flat[:, 1].copy(), np.cumsum(counts))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self) -> Iterator[Runs]:
        """The runs of one request after another."""
        runs = list(zip(self.first.tolist(), self.tokens.tolist(), strict=True))
        for start, end in pairwise(self.offsets.tolist()):
            yield tuple(runs[start:end])

    def take(self, requests: npt.NDArray[np.intp]) -> PromptRuns:
        """The runs of the chosen requests, in the order given."""
        counts = np.diff(self.offsets)[requests]
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        where = np.repeat(self.offsets[:-1][requests] - offsets[:-1], counts) + np.arange(offsets[-1])
        return PromptRuns(self.first[where], self.tokens[where], offsets)

    def copies(self, count: int) -> PromptRuns:
        """The table several times over; each copy but the first has identities of its own throughout."""
        fresh = int((self.first + self.tokens).max(initial=0))
        first = np.concatenate([self.first + copy * fresh for copy in range(count)])
        sizes = np.tile(np.diff(self.offsets), count)
        return PromptRuns(first, np.tile(self.tokens, count), np.concatenate(([0], np.cumsum(sizes))))
