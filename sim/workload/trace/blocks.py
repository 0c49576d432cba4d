"""Hashed prompt blocks of many requests, kept in two flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class HashBlocks:
    """Block ids of each request; equal leading ids mean an equal prefix.

    Attributes
    ----------
    ids : all ids, request after request.
    offsets : start of each request's ids in `ids`, and the total: one more than there are requests.
    block_tokens : tokens per block; the last block of a request may be partial.
    """

    ids: Ids
    offsets: Ids
    block_tokens: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, request: int) -> Ids:
        """Block ids of one request."""
        return self.ids[self.offsets[request] : self.offsets[request + 1]]

    def rows(self) -> list[list[int]]:
        """Block ids of all requests as lists."""
        ids, offsets = self.ids.tolist(), self.offsets.tolist()
        return [ids[a:b] for a, b in pairwise(offsets)]

    def take(self, requests: npt.NDArray[np.intp]) -> HashBlocks:
        """The blocks of the chosen requests, in the order given."""
        counts = np.diff(self.offsets)[requests]
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        where = np.repeat(self.offsets[:-1][requests] - offsets[:-1], counts) + np.arange(offsets[-1])
        return HashBlocks(self.ids[where], offsets, self.block_tokens)

    def shared_root(self) -> Ids:
        """The leading ids that all requests have in common: a system prompt, or nothing."""
        if not len(self):
            return self.ids[:0]
        root = self.row(0)
        for request in range(1, len(self)):
            row = self.row(request)
            n = min(len(root), len(row))
            differ = np.flatnonzero(root[:n] != row[:n])
            root = root[: differ[0] if len(differ) else n]
            if not len(root):
                break
        return root
