"""Uniform routing by chance: the step-time law's sampling of the hottest GPU against balls in bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.oracle.balls_in_bins import mean_fullest
from sim.steptime.routing import Routing, hottest_loads
from sim.streams import Streams
from sim.study.verify.case import Case
from sim.study.verify.check import Expectation
from sim.study.workers import Progress

EXPERTS, CHOSEN = 256, 8


@dataclass(frozen=True, slots=True)
class RoutedTokens:
    """Layers that route `tokens` tokens to the GPUs of a group, each expert as popular as any other.

    Attributes
    ----------
    ranks : GPUs that share the experts.
    tokens : tokens of a step.
    layers : layers per replication.
    by_chance : whether routing is random; otherwise every GPU gets the mean.
    """

    ranks: int
    tokens: int
    layers: int = 400
    by_chance: bool = True

    def replication(self, streams: Streams, progress: Progress | None = None) -> dict[str, float]:
        """Mean pairs on the hottest GPU."""
        routing = Routing(EXPERTS, CHOSEN, self.ranks, EXPERTS, None, None, self.by_chance)
        shares = np.full((self.layers, EXPERTS), 1.0 / EXPERTS)
        pairs = self.tokens * CHOSEN
        over_mean, _ = hottest_loads(routing, shares, pairs, streams.generator("verify.routing"))
        if progress is not None:
            progress(1.0)
        return {"hottest": float(over_mean.mean()) * pairs / self.ranks}


def cases() -> list[Case]:
    """Few, some and many pairs per GPU."""
    return [
        Case(
            f"Balls in bins, {tokens * CHOSEN} pairs on {ranks} GPUs",
            RoutedTokens(ranks, tokens),
            (Expectation("hottest", "pairs on the hottest GPU", "pairs", mean_fullest(tokens * CHOSEN, ranks)),),
        )
        for ranks, tokens in ((16, 2), (8, 8), (16, 8), (32, 64))
    ]
