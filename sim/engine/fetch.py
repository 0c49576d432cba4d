"""KV that a request gets over a link instead of computing it.

A rank asks its source at admission what it could fetch beyond the blocks that its own cache has. A request that fetches
takes its seat and all blocks that its prompt needs, and computes nothing until the transfer is over. From the next step
boundary on the tokens are there: it goes on with the rest of its prompt, or decodes if nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sim.engine.request import Request


class Fetch:
    """What one request fetches.

    Attributes
    ----------
    tokens : tokens that follow those that the request holds already. All of its target only where its next token needs
        no prompt token to be computed, because one was generated before.
    """

    __slots__ = ("tokens",)

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def landed(self, request: Request) -> None:
        """The tokens are in the blocks of the request; book it."""


class Source(Protocol):
    """Where a rank can fetch KV from."""

    def find(self, request: Request, found: int) -> Fetch | None:
        """What a waiting request could fetch that has its first `found` blocks here; None to compute the rest."""

    def start(self, request: Request, fetch: Fetch, done: Callable[[], None]) -> None:
        """Begin the transfer for a request that has just been admitted; call `done` when it is over."""

    def swap_out(self, request: Request, tokens: int) -> None:
        """A request was preempted that had stored `tokens` tokens, 0 while it was fetching; keep them if you can."""

    def forget(self, request: Request) -> None:
        """A request leaves the rank for good, or starts without fetching."""
