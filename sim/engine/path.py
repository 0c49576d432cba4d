"""How far one request has been led into the prefix cache of its rank."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from sim.engine.content import Segment

if TYPE_CHECKING:
    from sim.engine.radix import Node


class Again(IntEnum):
    """Why tokens that a request had computed must be computed again."""

    PREEMPTED = 0
    FAILED = 1
    WITHDRAWN = 2


class Path:
    """How far a request has been led into a tree.

    Attributes
    ----------
    content : its segments.
    node : deepest node held, or None for the root.
    blocks : blocks held from the root on.
    again_tokens, again_cause : tokens that an earlier admission had computed, and why they must be computed again.
    """

    __slots__ = ("_ahead", "_segment", "again_cause", "again_tokens", "blocks", "content", "node")

    def __init__(self, content: tuple[Segment, ...]) -> None:
        self.content = content
        self.again_tokens = 0
        self.again_cause = Again.PREEMPTED
        self.reset()

    def reset(self) -> None:
        """Hold nothing."""
        self.node: Node | None = None
        self.blocks = 0
        self._segment = 0
        self._ahead = 0  # blocks of the current segment behind us

    def next(self, block_size: int) -> Segment:
        """Name of the block ahead, and the blocks left of its segment."""
        key, blocks = self.content[self._segment]
        if self._ahead:
            assert isinstance(key, int)
            return key + self._ahead * block_size, blocks - self._ahead
        return key, blocks

    def move(self, blocks: int) -> None:
        """Go on by `blocks` of the current segment."""
        self.blocks += blocks
        self._ahead += blocks
        if self._ahead == self.content[self._segment][1]:
            self._segment += 1
            self._ahead = 0
