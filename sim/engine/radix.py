"""A radix tree of cached KV blocks with holders and least-recently-used eviction.

A node is a stretch of blocks whose names follow each other (`sim.engine.content`). Every operation costs the nodes it
touches, never their blocks. All blocks of a node have the same holders and were let go at the same time, because nodes
are split where paths part and joined again where they no longer do.

The order of eviction is that of a list of blocks in which each release moves the released blocks to the young end,
deepest first: since whoever holds a node holds its parents too, the oldest idle node is always a leaf.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from sim.engine.content import Key, Segment
from sim.engine.path import Path


class Node:
    """A stretch of blocks.

    Attributes
    ----------
    key : name of the first block.
    blocks : number of blocks.
    holders : paths that lead through or to it; 0 while it is idle.
    """

    __slots__ = ("blocks", "children", "holders", "key", "parent")

    def __init__(self, key: Key, blocks: int, parent: Node | None, holders: int) -> None:
        self.key = key
        self.blocks = blocks
        self.parent = parent
        self.holders = holders
        self.children: dict[Key, Node] = {}


class RadixTree:
    """Cached blocks of one pool.

    Attributes
    ----------
    idle : nodes that nobody holds, first to be evicted first.
    """

    __slots__ = ("_block_size", "_root", "_shrinking", "_spilt", "idle")

    def __init__(self, block_size: int) -> None:
        self._block_size = block_size
        self._root = Node(-1, 0, None, 1)
        self._shrinking: Node | None = None  # idle node whose end was evicted last, and the content spilled for it
        self._spilt: tuple[Segment, ...] = ()
        self.idle: OrderedDict[Node, None] = OrderedDict()

    def clear(self) -> None:
        """Forget everything."""
        self._root = Node(-1, 0, None, 1)
        self._shrinking = None
        self.idle.clear()

    def match(self, content: tuple[Segment, ...], limit: int) -> tuple[int, int]:
        """(leading blocks of the content that are cached, at most `limit`; how many of them are idle)."""
        node, size, left, idle = self._root, self._block_size, limit, 0
        for first, length in content:
            key, blocks = first, length
            while blocks:
                child = node.children.get(key)
                if child is None:
                    return limit - left, idle
                common = child.blocks
                if common > blocks or common >= left:
                    common = min(common, blocks, left)
                    return limit - left + common, idle if child.holders else idle + common
                left -= common
                if not child.holders:
                    idle += common
                blocks -= common
                if blocks and isinstance(key, int):  # a block that joins runs stands alone
                    key += common * size
                node = child
        return limit - left, idle

    def extend(self, path: Path, blocks: int) -> tuple[int, int]:
        """Lead a path on until it holds `blocks` blocks, through blocks that are cached and new ones after them.

        Returns
        -------
        (cached blocks now held that somebody held before, cached blocks now held that were idle); the rest is new.
        """
        size = self._block_size
        node = path.node or self._root
        content, at, behind, held = path.content, path.segment, path.behind, path.blocks
        shared = revived = 0
        while held < blocks:
            key, whole = content[at]
            if behind:
                assert isinstance(key, int)
                key += behind * size
            taken = whole - behind
            if taken > blocks - held:  # noqa: PLR1730 - a call of min costs more than the rest
                taken = blocks - held
            child = node.children.get(key)
            if child is None:
                node = self._grown(node, key, taken)
            else:
                entire = child.blocks <= taken
                if entire:
                    taken = child.blocks
                if child.holders:
                    shared += taken
                else:
                    revived += taken
                    if entire:
                        del self.idle[child]
                        if child is self._shrinking:
                            self._shrinking = None
                node = child if entire else self._split(child, taken)
                node.holders += 1
            held += taken
            behind += taken
            if behind == whole:
                at += 1
                behind = 0
        path.segment, path.behind, path.blocks = at, behind, held
        path.node = node if node is not self._root else None
        return shared, revived

    def _grown(self, node: Node, key: Key, blocks: int) -> Node:
        """The node that holds new blocks: `node` itself where it is ours alone and they continue it."""
        if node.holders == 1 and not node.children and self._continues(node, key):
            node.blocks += blocks
            return node
        child = Node(key, blocks, node, 1)
        node.children[key] = child
        return child

    def _split(self, node: Node, blocks: int) -> Node:
        """Part a node after `blocks`; returns the upper part, whose holders are those of the node."""
        parent = node.parent
        assert parent is not None
        assert isinstance(node.key, int)
        upper = Node(node.key, blocks, parent, node.holders)
        parent.children[node.key] = upper
        node.key += blocks * self._block_size
        node.blocks -= blocks
        node.parent = upper
        upper.children[node.key] = node
        return upper

    def release(self, path: Path) -> int:
        """Let a path go; returns the blocks that nobody holds any more. They become the last to be evicted."""
        idle = self.idle
        freed = 0
        below: Node | None = None
        node = path.node
        while node is not None and node.parent is not None:
            parent = node.parent
            node.holders -= 1
            if node.holders == 0:
                freed += node.blocks
                if below is not None and len(node.children) == 1 and self._continues(node, below.key):
                    self._join(node, below)
                else:
                    idle[node] = None
                    below = node
            node = parent
        path.reset()
        return freed

    def renew(self, content: tuple[Segment, ...], blocks: int) -> int:
        """Make the first blocks of a content the youngest, in a tree that nobody holds; returns how many are new.

        The same as to lead a path there and to let it go.
        """
        idle, size = self.idle, self._block_size
        node, left, new = self._root, blocks, 0
        for first, length in content:
            key, rest = first, length
            while rest and left:
                taken = rest if rest < left else left  # noqa: FURB136 - as in `extend`
                child = node.children.get(key)
                if child is None:
                    new += taken
                    node = self._appended(node, key, taken)
                elif child.blocks <= taken:
                    taken = child.blocks
                    node = child
                else:
                    node = self._split(child, taken)
                rest -= taken
                left -= taken
                if rest and isinstance(key, int):
                    key += taken * size
        below: Node | None = None
        while node.parent is not None:
            parent = node.parent
            if below is not None and len(node.children) == 1 and self._continues(node, below.key):
                self._join(node, below)
                idle.pop(node, None)
            else:
                idle[node] = None
                idle.move_to_end(node)
                below = node
            node = parent
        return new

    def _appended(self, node: Node, key: Key, blocks: int) -> Node:
        """The node that holds new blocks after `node`, which is about to be renewed too."""
        if not node.children and self._continues(node, key):
            node.blocks += blocks
            return node
        child = node.children[key] = Node(key, blocks, node, 0)
        return child

    def _continues(self, node: Node, key: Key) -> bool:
        """Whether a block with that name follows the last one of a node."""
        return node is not self._root and isinstance(node.key, int) and node.key + node.blocks * self._block_size == key

    def _join(self, node: Node, below: Node) -> None:
        """Make one of a node and its only child."""
        assert node.parent is not None
        below.key = node.key
        below.blocks += node.blocks
        below.parent = node.parent
        node.parent.children[node.key] = below

    def evict(
        self,
        blocks: int,
        spill: Callable[[tuple[Segment, ...]], None] | None = None,
        latest: tuple[Segment, ...] | None = None,
    ) -> None:
        """Forget that many idle blocks, which must be there.

        Parameters
        ----------
        spill : gets the contents that lead to the end of each run of which something is forgotten.
        latest : what was spilled last, if its beginning need not be spilled again.
        """
        while blocks > 0:
            node = next(iter(self.idle))
            if spill is not None and (node is not self._shrinking or latest is not self._spilt):
                self._shrinking, self._spilt = node, self._content(node)
                spill(self._spilt)
            if node.blocks > blocks:
                node.blocks -= blocks
                return
            blocks -= node.blocks
            del self.idle[node]
            assert not node.children, "a node is never older than what hangs on it"
            assert node.parent is not None
            del node.parent.children[node.key]

    def _content(self, node: Node) -> tuple[Segment, ...]:
        """Segments from the root to the end of a node, those that one another continue joined."""
        segments: list[Segment] = []
        above: Node | None = node
        while above is not None and above.parent is not None:
            key, blocks = above.key, above.blocks
            if segments and isinstance(key, int) and key + blocks * self._block_size == segments[-1][0]:
                segments[-1] = (key, blocks + segments[-1][1])
            else:
                segments.append((key, blocks))
            above = above.parent
        return tuple(reversed(segments))

    def nodes(self) -> Iterator[Node]:
        """All nodes but the root."""
        stack = list(self._root.children.values())
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())
