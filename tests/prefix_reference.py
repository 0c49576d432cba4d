"""The prefix cache once more, block by block: a dict of blocks and an ordered dict of the idle ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

Block = tuple[Hashable, ...]


def blocks_of(tokens: Sequence[Hashable], block_size: int) -> list[Block]:
    """Names of the whole blocks: all tokens up to the end of the block, so that equal names mean equal prefixes."""
    return [tuple(tokens[:end]) for end in range(block_size, len(tokens) + 1, block_size)]


class NaiveCache:
    """Blocks known by the tokens up to their end.

    Attributes
    ----------
    holders : known blocks that requests hold, with the number of them.
    idle : known blocks that nobody holds, next to be evicted first.
    """

    def __init__(self) -> None:
        self.holders: dict[Block, int] = {}
        self.idle: OrderedDict[Block, None] = OrderedDict()

    def match(self, blocks: Sequence[Block]) -> int:
        """Leading blocks that are known."""
        for index, block in enumerate(blocks):
            if block not in self.holders and block not in self.idle:
                return index
        return len(blocks)

    def hold(self, blocks: Sequence[Block]) -> None:
        """Hold blocks; unknown ones become known."""
        for block in blocks:
            self.idle.pop(block, None)
            self.holders[block] = self.holders.get(block, 0) + 1

    def release(self, blocks: Sequence[Block]) -> None:
        """Let blocks go, last to first."""
        for block in reversed(blocks):
            self.holders[block] -= 1
            if not self.holders[block]:
                del self.holders[block]
                self.idle[block] = None

    def evict(self, keep: int) -> int:
        """Forget idle blocks until `keep` are left; returns how many went."""
        gone = max(0, len(self.idle) - max(0, keep))
        for _ in range(gone):
            self.idle.popitem(last=False)
        return gone
