"""When the next fault of a node comes."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, gamma, inf, log

import numpy as np

from sim.streams import Streams, blockwise

BLOCK = 64


def uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Endless draws in [0, 1), in blocks that suit the few draws of a node's life."""
    return blockwise(rng.random, BLOCK)


def exponential_s(draw: float, rate_per_s: float) -> float:
    """An exponential time from a uniform draw in [0, 1)."""
    return -log(1.0 - draw) / rate_per_s


class NodeClock:
    """Times to the next fault of one node, all kinds together.

    Every node draws from a stream of its own, so a fleet of another size sees the same faults on the same nodes.

    Attributes
    ----------
    draws : uniform draws of this node, also for all that follows a fault.
    frailty : how much more often than the mean it fails.
    since_s : when it was installed.
    """

    __slots__ = ("_early_amplitude", "_early_s", "_rate_per_s", "_rng", "_shape", "draws", "frailty", "since_s")

    def __init__(
        self,
        streams: Streams,
        node: int,
        rate_per_s: float,
        frailty_shape: float = inf,
        early_amplitude: float = 0.0,
        early_s: float = 1.0,
        uptime_shape: float = 1.0,
    ) -> None:
        self._rng = streams.generator(f"node/{node}")
        self._rate_per_s = rate_per_s
        self._early_amplitude = early_amplitude
        self._early_s = early_s
        self._shape = uptime_shape
        self.draws = uniforms(self._rng)
        self.install(0.0, frailty_shape)

    def install(self, now_s: float, frailty_shape: float) -> None:
        """A new node stands here from now on."""
        self.since_s = now_s
        self.frailty = 1.0
        if frailty_shape < inf:
            self.frailty = float(self._rng.gamma(frailty_shape, 1.0 / frailty_shape))

    def next_s(self, now_s: float) -> float:
        """When the next fault comes, if the node is powered from now on; infinite if never.

        The early-life hazard r0 (1 + a exp(-age / tau)) is drawn by thinning. Checked: a = 2, tau = 720 h, r0 =
        1/4,800 h: 0.3396361676 faults in the first 720 h.
        """
        rate, draws = self._rate_per_s * self.frailty, self.draws
        if rate <= 0.0:
            return inf
        if self._shape != 1.0:
            scale_s = 1.0 / (rate * gamma(1.0 + 1.0 / self._shape))
            return now_s + scale_s * float((-log(1.0 - next(draws))) ** (1.0 / self._shape))
        if not self._early_amplitude:
            return now_s - log(1.0 - next(draws)) / rate
        at_s = now_s
        while True:
            bound = self._hazard(at_s)
            at_s -= log(1.0 - next(draws)) / (rate * bound)
            if next(draws) * bound < self._hazard(at_s):
                return at_s

    def _hazard(self, at_s: float) -> float:
        return 1.0 + self._early_amplitude * exp((self.since_s - at_s) / self._early_s)
