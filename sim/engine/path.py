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
    segment, behind : index of the segment of the next block, and how many blocks of that segment are held.
    again_tokens, again_cause : tokens that an earlier admission had computed, and why they must be computed again.
    """

    __slots__ = ("again_cause", "again_tokens", "behind", "blocks", "content", "node", "segment")

    def __init__(self, content: tuple[Segment, ...]) -> None:
        self.content = content
        self.again_tokens = 0
        self.again_cause = Again.PREEMPTED
        self.reset()

    def reset(self) -> None:
        """Hold nothing."""
        self.node: Node | None = None
        self.blocks = 0
        self.segment = 0
        self.behind = 0
