"""Replicas on a pool of nodes that fail and are repaired independently: the cluster that the closed forms describe.

Every node of the pool, hot spares included, fails at the same rate and has a crew of its own. There are no lemons,
shocks or bad repairs; it stands here so that paths to a service can be compared with theory, and is no substitute for a
fleet's history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.faults.outages import Outages
from sim.faults.phases import Phases
from sim.streams import Streams, blockwise
from sim.units import HOUR_S, YEAR_H

WARM_UP_H: Final = YEAR_H
BLOCK: Final = 64
SHORT, RESTART = "short of nodes", "restart"


@dataclass(frozen=True, slots=True)
class AlternatingNodes:
    """Replicas of whole nodes and spares.

    Attributes
    ----------
    replicas, nodes_per_replica, spares : the pool has replicas x nodes_per_replica + spares nodes.
    mtbf_h : mean time to failure of a node, exponential.
    repair : law of its repair, phases of exponential times.
    restart_s : of a replica after a fault of one of its nodes, once it has all nodes again.
    load_frac : share of the capacity of all replicas that the load needs; with less than one, fewer replicas may do.
    """

    replicas: int
    nodes_per_replica: int
    spares: int
    mtbf_h: float
    repair: Phases
    restart_s: float
    load_frac: float = 1.0

    @property
    def nodes(self) -> int:
        """All nodes."""
        return self.needed + self.spares

    @property
    def needed(self) -> int:
        """Nodes of all replicas."""
        return self.replicas * self.nodes_per_replica

    def failing(self, replicas: float) -> float:
        """Share of requests that fail with so many replicas."""
        return max(0.0, 1.0 - replicas / (self.replicas * self.load_frac))

    def outages(self, horizon_h: float, streams: Streams, name: str) -> list[Outages]:
        """Time with too few nodes, and restarts; the latter act on the replicas that are left.

        Parameters
        ----------
        name : prefix of the random streams; under the same name a larger pool has the nodes of a smaller one and more.
        """
        events = self._events(horizon_h, streams, name)
        serving = blockwise(streams.generator(f"{name}.in_service").random, BLOCK)
        restart_h = self.restart_s / HOUR_S
        up, at_h, before = self.nodes, -WARM_UP_H, self.replicas
        count = before
        short: list[tuple[float, float, float]] = []
        restart: list[tuple[float, float, float]] = []
        for moment_h, change in [*events, (horizon_h, 0)]:
            if count < self.replicas:
                short.append((at_h, moment_h, self.failing(count)))
            in_service = count * self.nodes_per_replica / up if up else 0.0
            up += change
            before, count, at_h = count, min(self.replicas, up // self.nodes_per_replica), moment_h
            replaced = change < 0 and count == before and next(serving) < in_service
            if restart_h > 0.0 and (replaced or count > before) and count:
                left = self.failing(count)
                lost = 1.0 - (1.0 - self.failing(count - 1)) / (1.0 - left) if left < 1.0 else 0.0
                restart.append((moment_h, moment_h + restart_h, lost))
        return [Outages.of(SHORT, short), Outages.of(RESTART, restart)]

    def _events(self, horizon_h: float, streams: Streams, name: str) -> list[tuple[float, int]]:
        """(moment, change of nodes up) of all nodes, in order of time."""
        up = blockwise(_exponential(streams.generator(f"{name}.up"), self.mtbf_h), BLOCK)
        down = self._repairs(streams.generator(f"{name}.repair"))
        events: list[tuple[float, int]] = []
        for _ in range(self.nodes):
            at_h = -WARM_UP_H
            while True:
                at_h += next(up)
                if at_h >= horizon_h:
                    break
                events.append((at_h, -1))
                at_h += next(down)
                if at_h >= horizon_h:
                    break
                events.append((at_h, 1))
        return sorted(events)

    def _repairs(self, rng: np.random.Generator) -> Iterator[float]:
        shares, means_h = np.array(self.repair.shares), np.array(self.repair.means_s) / HOUR_S

        def draw(count: int) -> np.ndarray:
            phase = rng.choice(means_h.size, size=count, p=shares / shares.sum())
            return np.asarray(rng.standard_exponential(count) * means_h[phase], dtype=np.float64)

        return blockwise(draw, BLOCK)


def _exponential(rng: np.random.Generator, mean: float) -> Callable[[int], np.ndarray]:
    return lambda count: np.asarray(rng.standard_exponential(count) * mean, dtype=np.float64)
