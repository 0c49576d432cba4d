"""What the tokens of a request are, in whole blocks: what decides whether two requests may share KV.

A request comes with runs of token identities. A block inside one run is named by its first identity, so a stretch of
such blocks is one segment however long it is; a block that joins several runs is named by the runs in it and is a
segment of its own. Segments are canonical: the same tokens always give the same segments.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from sim.workload.runs import Run, Runs, merged

Key = int | tuple[Run, ...]
Segment = tuple[Key, int]
Content = tuple[Segment, ...]

OWN_SPAN = 1 << 40  # identities that one request's own tokens may use; longer than any request


class Contents:
    """Content of requests; shared by all replicas of a cluster, so that own tokens are told apart everywhere.

    Tokens that a request does not name get identities below zero, which no other request has.
    """

    __slots__ = ("_block_size", "_own")

    def __init__(self, block_size: int) -> None:
        self._block_size = block_size
        self._own = count(1)

    def of(
        self, prefix: Runs | None, input_tokens: int, output_tokens: int, output_first_id: int | None
    ) -> tuple[Segment, ...]:
        """Segments of the whole blocks of prompt and output; the last output token is sampled but never stored."""
        own = -next(self._own) * OWN_SPAN
        stored = input_tokens + output_tokens - 1
        if prefix is None and output_first_id is None:
            blocks = stored // self._block_size
            return ((own, blocks),) if blocks else ()
        runs: list[Run] = []
        left = input_tokens
        for run in prefix or ():
            tokens = run[1]
            if tokens >= left:
                runs.append((run[0], left))
                left = 0
                break
            runs.append(run)
            left -= tokens
        if left:
            runs.append((own, left))
        runs.append((own + left if output_first_id is None else output_first_id, output_tokens - 1))
        return segments(merged(runs), self._block_size)


def segments(runs: Iterable[Run], block_size: int) -> tuple[Segment, ...]:
    """Whole blocks of merged runs as (name of the first block, blocks); a part of a block at the end is left out."""
    found: list[Segment] = []
    begun: list[Run] = []  # runs of a block that is not full
    room = 0  # tokens that it lacks
    for first, tokens in runs:
        taken = 0
        if begun:
            taken = min(room, tokens)
            begun.append((first, taken))
            room -= taken
            if room:
                continue
            found.append((tuple(begun), 1))
            begun = []
        blocks, rest = divmod(tokens - taken, block_size)
        if blocks:
            found.append((first + taken, blocks))
        if rest:
            begun = [(first + tokens - rest, rest)]
            room = block_size - rest
    return tuple(found)
