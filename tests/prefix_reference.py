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
        return len(self.evicted(keep))

    def evicted(self, keep: int) -> list[Block]:
        """The same; returns the blocks in the order in which they went."""
        return [self.idle.popitem(last=False)[0] for _ in range(max(0, len(self.idle) - max(0, keep)))]


def add_unless_begun(blocks: list[Block], block: Block) -> None:
    """Add a block to a list unless the last one goes on from it."""
    if not blocks or blocks[-1][: len(block)] != block:
        blocks.append(block)


class NaiveTier:
    """Blocks below the GPU, next to be evicted first; the name of a block says all blocks before it.

    Attributes
    ----------
    reserved : blocks taken by swapped-out requests.
    """

    def __init__(self, capacity: int, block_size: int) -> None:
        self.capacity = capacity
        self.block_size = block_size
        self.blocks: OrderedDict[Block, None] = OrderedDict()
        self.reserved = 0

    def match(self, blocks: Sequence[Block]) -> int:
        """Leading blocks that are here."""
        for index, block in enumerate(blocks):
            if block not in self.blocks:
                return index
        return len(blocks)

    def touch(self, blocks: Sequence[Block]) -> None:
        """Make leading blocks the youngest, as far as they are here."""
        for block in reversed(blocks[: self.match(blocks)]):
            self.blocks.move_to_end(block)

    def put(self, block: Block) -> tuple[int, list[Block]]:
        """Keep a block with all before it; returns (how many are new, the last of each run that had to go)."""
        blocks = blocks_of(block, self.block_size)
        new = len(blocks) - self.match(blocks)
        for each in reversed(blocks):
            self.blocks[each] = None
            self.blocks.move_to_end(each)
        return new, self.make_room()

    def make_room(self) -> list[Block]:
        """Evict down to the capacity; returns the last block of each run that went."""
        gone: list[Block] = []
        while len(self.blocks) + self.reserved > self.capacity:
            add_unless_begun(gone, self.blocks.popitem(last=False)[0])
        return gone
