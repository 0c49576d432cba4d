"""A prefix cache without a limit: how much of each prompt some earlier prompt or answer began with."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sim.workload.request import RequestDraw
from sim.workload.runs import Run, merged


class _Edge:
    """A run of tokens, and what has followed it, by the identity of the next token."""

    __slots__ = ("after", "first", "tokens")

    def __init__(self, first: int, tokens: int) -> None:
        self.first = first
        self.tokens = tokens
        self.after: dict[int, _Edge] = {}

    def cut(self, at: int) -> None:
        """End this edge after `at` tokens; the rest follows as an edge of its own."""
        rest = _Edge(self.first + at, self.tokens - at)
        rest.after, self.after, self.tokens = self.after, {rest.first: rest}, at


class PrefixTree:
    """All token sequences seen so far, as a radix tree over runs.

    The work of a look-up grows with the runs and branches of a prompt, never with its tokens. Nothing is ever evicted:
    it gives the hit rate of an infinite cache, which bounds that of every real one from above.
    """

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root = _Edge(-1, 0)

    def add(self, runs: Iterable[Run]) -> int:
        """Remember a sequence.

        Returns
        -------
        int
            Leading tokens that were known before.
        """
        edge, at, known = self._root, 0, 0
        left = deque(merged(runs))
        while left:
            first, tokens = left.popleft()
            if at < edge.tokens:
                if edge.first + at != first:
                    edge.cut(at)
                    left.appendleft((first, tokens))
                    continue
            elif first in edge.after:
                edge, at = edge.after[first], 0
            else:
                self._grow(edge, [(first, tokens), *left])
                return known
            common = min(tokens, edge.tokens - at)
            at += common
            known += common
            if common < tokens:
                left.appendleft((first + common, tokens - common))
        return known

    def _grow(self, edge: _Edge, runs: list[Run]) -> None:
        """Append runs that nobody has had behind this edge."""
        for first, tokens in runs:
            if edge is not self._root and not edge.after and edge.first + edge.tokens == first:
                edge.tokens += tokens
            else:
                edge.after[first] = edge = _Edge(first, tokens)


def unlimited_hit_tokens(requests: Iterable[RequestDraw]) -> list[tuple[int, int]]:
    """(prompt tokens served by an infinite prefix cache, prompt tokens) of each request, in the order given.

    Answers are cached too, as engines do; a request without a prefix shares nothing.
    """
    tree = PrefixTree()
    rows = []
    for draw in requests:
        runs = draw.prefix or ()
        hit = min(tree.add(runs), draw.input_tokens)
        if draw.output_first_id is not None:
            tree.add((*runs, (draw.output_first_id, draw.output_tokens)))
        rows.append((hit, draw.input_tokens))
    return rows
