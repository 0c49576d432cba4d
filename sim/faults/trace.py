"""A recorded history of faults: which node was down when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sim.errors import TraceError
from sim.faults.trace_formats import Episode, read_episodes
from sim.units import DAY_H

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FaultTrace:
    """Episodes of all nodes of a fleet, in order of their start.

    Attributes
    ----------
    episodes : sorted by start; those still open end with the record.
    nodes : size of the fleet, nodes without a fault included.
    from_h, to_h : stretch of time that the record covers.
    source, format : file name, and what it was read as.
    open_ended : episodes that had not ended.
    """

    episodes: tuple[Episode, ...]
    nodes: int
    from_h: float
    to_h: float
    source: str = ""
    format: str = ""
    open_ended: int = 0

    @property
    def length_h(self) -> float:
        """Length of the record."""
        return self.to_h - self.from_h

    @property
    def node_days(self) -> float:
        """Exposure: nodes times days."""
        return self.nodes * self.length_h / DAY_H

    @property
    def node_codes(self) -> Ints:
        """(episodes,) number of the node of each episode, by first fault."""
        codes: dict[str, int] = {}
        return np.array([codes.setdefault(item.node, len(codes)) for item in self.episodes], dtype=np.int64)

    @property
    def start_h(self) -> Floats:
        """(episodes,) hours."""
        return np.array([item.start_h for item in self.episodes], dtype=np.float64)

    @property
    def end_h(self) -> Floats:
        """(episodes,) hours."""
        return np.array([item.end_h for item in self.episodes], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class DownTable:
    """Which nodes are down in each stretch between two changes anywhere in the fleet.

    Attributes
    ----------
    length_h : (stretches,) how long each lasts; they sum to the horizon.
    down : (stretches, nodes) whether a node is down.
    """

    length_h: Floats
    down: npt.NDArray[np.bool_]

    @property
    def down_nodes(self) -> Ints:
        """(stretches,) nodes down at once."""
        return np.asarray(self.down.sum(axis=1), dtype=np.int64)

    @property
    def weights(self) -> Floats:
        """(stretches,) share of the time."""
        return np.asarray(self.length_h / self.length_h.sum(), dtype=np.float64)

    @property
    def availability(self) -> float:
        """Share of node time up."""
        return 1.0 - float(self.weights @ self.down_nodes) / int(self.down.shape[1])


def read_fault_trace(
    path: str | Path, nodes: int | None = None, from_h: float | None = None, to_h: float | None = None
) -> FaultTrace:
    """Read a fault trace, compressed or not.

    Parameters
    ----------
    path : InfiniteHBD JSON (`fault_start` and `fault_end` events, `event_time` in days), or a CSV with the columns
        `t_start_h,t_end_h,node_id,class,domain` and perhaps `severity`; an empty `t_end_h` is still open.
    nodes : size of the fleet; None for the nodes that the file names, which leaves healthy ones out.
    from_h, to_h : what the record covers; None for the first start and the last event, since nothing shows that
        somebody watched before and after.

    Raises
    ------
    TraceError : missing, empty or malformed file; fewer nodes than the file names; faults that start outside of
        the record.
    """
    path = Path(path)
    kind, found = read_episodes(path)
    if not found:
        raise TraceError(f"{path}: has no faults")
    named = len({item.node for item in found})
    fleet = named if nodes is None else nodes
    if fleet < named:
        raise TraceError(
            f"{path}: names {named} nodes, which do not fit a fleet of {fleet}; give at least {named} nodes"
        )
    starts_h = [item.start_h for item in found]
    first_h, late_h = min(starts_h), max(starts_h)
    last_h = max([late_h, *(item.end_h for item in found if isfinite(item.end_h))])
    begin_h, stop_h = first_h if from_h is None else from_h, last_h if to_h is None else to_h
    if not (begin_h <= first_h and late_h <= stop_h and begin_h < stop_h):
        raise TraceError(
            f"{path}: has faults that start on days {first_h / DAY_H:g} to {late_h / DAY_H:g}, outside "
            f"a record of days {begin_h / DAY_H:g} to {stop_h / DAY_H:g}"
        )
    closed = (item if isfinite(item.end_h) else replace(item, end_h=stop_h) for item in found)
    ordered = tuple(sorted(closed, key=lambda item: (item.start_h, item.end_h)))
    still_open = sum(not isfinite(item.end_h) for item in found)
    return FaultTrace(ordered, fleet, begin_h, stop_h, path.name, kind, still_open)


def down_table(trace: FaultTrace, shift_h: Floats | None = None) -> DownTable:
    """The fleet's history at the end points of its episodes; a node counts as down whatever the severity.

    Parameters
    ----------
    shift_h : (nodes,) moves each node's own history later, around the end of the record to its start; this leaves every
        node as it is and makes nodes independent of each other.
    """
    codes, length_h = trace.node_codes, trace.length_h
    start_h, end_h = trace.start_h - trace.from_h, np.minimum(trace.end_h, trace.to_h) - trace.from_h
    if shift_h is not None:
        down_h = end_h - start_h
        start_h = (start_h + shift_h[codes]) % length_h
        end_h = start_h + down_h
        over = end_h > length_h
        codes = np.concatenate([codes, codes[over]])
        start_h = np.concatenate([start_h, np.zeros(int(over.sum()))])
        end_h = np.concatenate([np.minimum(end_h, length_h), end_h[over] - length_h])
    edges = np.unique(np.concatenate([[0.0, length_h], start_h, end_h]))
    changes = np.zeros((edges.size, trace.nodes), dtype=np.int64)
    np.add.at(changes, (np.searchsorted(edges, start_h), codes), 1)
    np.add.at(changes, (np.searchsorted(edges, end_h), codes), -1)
    return DownTable(np.diff(edges), np.cumsum(changes, axis=0)[:-1] > 0)
