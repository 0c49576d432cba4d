"""What the engine had stored for each session, to tell why a returning session's prompt must be computed again.

The number of sessions remembered is bounded; one that has been forgotten counts as new.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from sim.engine.content import Segment
from sim.engine.totals import Totals

if TYPE_CHECKING:
    from sim.engine.prefix_cache import PrefixCache

REMEMBERED: Final = 65_536  # sessions


class Stored(NamedTuple):
    """What a session's last completed request left behind.

    Attributes
    ----------
    content, blocks : what it held, and how many blocks of it.
    cache, life : where; a replica that dies begins a new life.
    """

    content: tuple[Segment, ...]
    blocks: int
    cache: PrefixCache
    life: int


class SessionMemory:
    """Last blocks of each session, the least recently used forgotten first."""

    __slots__ = ("_stored",)

    def __init__(self) -> None:
        self._stored: OrderedDict[str, Stored] = OrderedDict()

    def left(self, session_id: str, stored: Stored) -> None:
        """A request of the session completed."""
        self._stored[session_id] = stored
        self._stored.move_to_end(session_id)
        if len(self._stored) > REMEMBERED:
            self._stored.popitem(last=False)

    def explain(
        self, session_id: str, content: tuple[Segment, ...], limit: int, hit: int, cache: PrefixCache, totals: Totals
    ) -> None:
        """Book the blocks that the session had stored, that a request asks for again, and that it did not find.

        Parameters
        ----------
        limit, hit : blocks that the request could have found at best, and those that it found.
        """
        stored = self._stored.get(session_id)
        if stored is None:
            return
        known = min(stored.blocks, limit)
        if hit >= known:
            return
        common = common_blocks(stored.content, content, known)
        size = cache.block_size
        if common > hit:
            tokens = (common - hit) * size
            if stored.cache.life != stored.life:
                totals.recompute_failed_tokens += tokens
            elif stored.cache is cache:
                totals.recompute_evicted_tokens += tokens
            else:
                totals.recompute_elsewhere_tokens += tokens
        totals.recompute_broken_tokens += (known - max(common, hit)) * size


def common_blocks(left: tuple[Segment, ...], right: tuple[Segment, ...], limit: int) -> int:
    """Leading blocks that two contents share, at most `limit`."""
    common = 0
    for (left_key, left_blocks), (right_key, right_blocks) in zip(left, right, strict=False):
        if left_key != right_key or common >= limit:
            break
        common += min(left_blocks, right_blocks)
        if left_blocks != right_blocks:
            break
    return min(common, limit)
