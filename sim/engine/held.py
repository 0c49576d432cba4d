"""What one replica holds over all its ranks, kept as running sums."""

from __future__ import annotations


class Held:
    """What one replica holds over all its ranks, kept as running sums.

    Attributes
    ----------
    decoding : decoding sequences.
    cached_tokens : tokens whose KV running requests hold, before the step under way; shared blocks count once.
    rest_units : part of a token, in units of the acceptance length, that decoding has cached beyond that; 0 without
        speculative decoding (`sim.engine.acceptance`).
    stalled_since_s : while prompts make decoding sequences wait, the boundary of their last token; else None.
    """

    __slots__ = ("cached_tokens", "decoding", "rest_units", "stalled_since_s")

    def __init__(self) -> None:
        self.decoding = 0
        self.stalled_since_s: float | None = None
        self.cached_tokens = 0
        self.rest_units = 0
