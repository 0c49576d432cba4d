"""What every open-loop arrival process offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sim.streams import Streams

Times = npt.NDArray[np.float64]


class ArrivalProcess(Protocol):
    """An open-loop process: arrivals that do not wait for completions.

    Times are seconds since the start of the run, never decreasing, drawn in blocks from the named stream alone, so that
    the same seed gives the same arrivals whatever happens in the cluster.
    """

    @property
    def rate_rps(self) -> float:
        """Long-run mean rate."""

    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:
        """Arrival times as consecutive arrays; endless, except for a replayed trace."""

    def times(self, streams: Streams, name: str = "arrivals") -> Iterator[float]:
        """Arrival times one by one."""


class BlockDrawn(ABC):
    """Gives a process that draws arrays its times one by one."""

    __slots__ = ()

    @abstractmethod
    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:
        """Arrival times as consecutive arrays; endless, except for a replayed trace."""

    def times(self, streams: Streams, name: str = "arrivals") -> Iterator[float]:
        """Arrival times one by one.

        Parameters
        ----------
        streams : the random streams of this replication.
        name : stream to draw from; two processes of one workload need two names.
        """
        return chain.from_iterable(block.tolist() for block in self.blocks(streams, name))
