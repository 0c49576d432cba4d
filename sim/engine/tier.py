"""KV blocks kept below the GPU: in the memory of a host, or in a pool of the whole cluster.

Holds whole prefixes: where the tail of a prompt is put, its head is put along. Blocks are evicted least recently put or
read first, the last block of a prompt before its first. Every operation costs the runs of a prompt, not its blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sim.engine.content import Content
from sim.engine.radix import RadixTree
from sim.errors import IdentityError


def length_blocks(content: Content) -> int:
    """Blocks of a content."""
    return sum(blocks for _, blocks in content)


def add_unless_begun(contents: list[Content], content: Content) -> None:
    """Add a content to a list unless it is the beginning of the last one: runs are evicted from their end."""
    if contents:
        last, size = contents[-1], len(content)
        if (
            size <= len(last)
            and content[-1][0] == last[size - 1][0]
            and content[-1][1] <= last[size - 1][1]
            and content[:-1] == last[: size - 1]
        ):
            return
    contents.append(content)


class Tier:
    """Blocks of one tier.

    Attributes
    ----------
    num_blocks : its capacity.
    blocks : blocks held that lookups find.
    reserved : blocks taken by swapped-out requests.
    tree : the blocks themselves.
    youngest : the content that was put last, while all of it is here and nothing was read since.
    """

    __slots__ = ("_youngest_blocks", "blocks", "num_blocks", "reserved", "tree", "youngest")

    def __init__(self, num_blocks: int, block_size: int) -> None:
        self.num_blocks = num_blocks
        self.tree = RadixTree(block_size)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.blocks = self.reserved = 0
        self.youngest: Content | None = None
        self._youngest_blocks = 0
        self.tree.clear()

    def match(self, content: Content, limit: int) -> int:
        """Leading blocks of a content that are here, at most `limit`."""
        return self.tree.match(content, limit)[0]

    def touch(self, content: Content, blocks: int) -> None:
        """The first `blocks` blocks, as far as they are here, were read."""
        self.youngest = None
        self.tree.renew(content, self.match(content, blocks))

    def put(self, content: Content, spill: Callable[[Content], None] | None = None) -> int:
        """Keep all blocks of a content, as the youngest; returns how many are new.

        Parameters
        ----------
        spill : gets the contents whose ends had to make room.
        """
        blocks = length_blocks(content)
        new = self.tree.renew(content, blocks)
        self.youngest, self._youngest_blocks = content, blocks
        self.blocks += new
        self._make_room(spill)
        return new

    def _make_room(self, spill: Callable[[Content], None] | None) -> None:
        excess = self.blocks + self.reserved - self.num_blocks
        if excess > 0:
            contents: list[Content] = []
            self.tree.evict(excess, None if spill is None else partial(add_unless_begun, contents))
            self.blocks -= excess
            if self.blocks < self._youngest_blocks:  # it was the last to go
                self.youngest = None
            if spill is not None:
                for content in contents:
                    spill(content)

    def reserve(self, blocks: int, spill: Callable[[Content], None] | None = None) -> bool:
        """Keep room for a swapped-out request; returns whether there is any beside the others."""
        if self.reserved + blocks > self.num_blocks:
            return False
        self.reserved += blocks
        self._make_room(spill)
        return True

    def audit(self, reserved: int) -> None:
        """Check the counts.

        Raises
        ------
        IdentityError : they are not those of the blocks held one by one.
        """
        held = sum(node.blocks for node in self.tree.nodes())
        if held != self.blocks or reserved != self.reserved or held + reserved > self.num_blocks:
            counted, booked = (held, reserved), (self.blocks, self.reserved)
            raise IdentityError(
                f"identity does not hold: blocks of a KV tier: {counted} against {booked} of {self.num_blocks}"
            )
