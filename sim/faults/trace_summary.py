"""What a fault trace says in numbers: how often, how long, how uneven, how clustered."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.faults.trace import DownTable, FaultTrace, Floats, Ints, down_table
from sim.units import DAY_H

REPAIR_QUANTILES: Final = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
RETURN_DAYS: Final = (1.0, 7.0, 30.0)
MERGE_DAYS: Final = (0.0, 1.0, 7.0, 30.0)
WORST_SHARES: Final = (0.05, 0.10)
BURST_WINDOW_H: Final = 10.0 / 60.0
BURST_STARTS: Final = 4
SLACK_H: Final = 1e-6  # event times are printed to a tenth of a second


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """One fault class: episodes, rate, and hours of repair."""

    name: str
    episodes: int
    per_1000_node_days: float
    mean_h: float
    median_h: float


@dataclass(frozen=True, slots=True)
class Merged:
    """Faults when episodes within `gap_days` of a return count as one.

    Attributes
    ----------
    shape : Gamma shape of node rates by moments; None where counts vary no more than a Poisson law's.
    """

    gap_days: float
    first_faults_per_1000_node_days: float
    shape: float | None


@dataclass(frozen=True, slots=True)
class FaultSummary:
    """Statistics of a trace.

    Attributes
    ----------
    per_1000_node_days : episodes per 1,000 node-days.
    repair_mean_h, repair_quantiles_h : of the episodes, quantiles at `REPAIR_QUANTILES`.
    availability : share of node time up, overlapping episodes counted once.
    down_mean, down_sd, down_p95, down_p99, down_max : nodes down at once, by time.
    returns : for each of `RETURN_DAYS`: share of returns followed by a new fault of the same node so soon, and what
        equal nodes with the mean rate would have.
    without_fault_frac : nodes without any episode.
    worst_shares : share of episodes on the worst 5 % and 10 % of nodes.
    gap_cv : coefficient of variation of gaps between starts anywhere; 1 for a Poisson stream.
    short_gap_frac : share of gaps under ten minutes.
    burst_frac, burst_max : share of episodes in a window of ten minutes with at least four starts, and the most starts
        in one.
    merged, classes : see there; classes by number of episodes.
    """

    episodes: int
    nodes: int
    days: float
    per_1000_node_days: float
    repair_mean_h: float
    repair_quantiles_h: tuple[float, ...]
    availability: float
    down_mean: float
    down_sd: float
    down_p95: float
    down_p99: float
    down_max: int
    returns: tuple[tuple[float, float], ...]
    without_fault_frac: float
    worst_shares: tuple[float, ...]
    gap_cv: float | None
    short_gap_frac: float | None
    burst_frac: float
    burst_max: int
    merged: tuple[Merged, ...]
    classes: tuple[ClassSummary, ...]


def summarise(trace: FaultTrace) -> FaultSummary:
    """All statistics of a trace."""
    start_h = trace.start_h
    repair_h = trace.end_h - start_h
    counts = np.bincount(trace.node_codes, minlength=trace.nodes)
    table = down_table(trace)
    mean, spread, quantiles = _down(table)
    gaps = np.diff(start_h)
    in_burst = _burst_sizes(start_h)
    ranked = np.sort(counts)[::-1]
    return FaultSummary(
        episodes=len(trace.episodes),
        nodes=trace.nodes,
        days=trace.length_h / DAY_H,
        per_1000_node_days=_per_1000(trace, len(trace.episodes)),
        repair_mean_h=float(repair_h.mean()),
        repair_quantiles_h=tuple(np.quantile(repair_h, REPAIR_QUANTILES).tolist()),
        availability=table.availability,
        down_mean=mean,
        down_sd=spread,
        down_p95=quantiles[0],
        down_p99=quantiles[1],
        down_max=int(table.down_nodes.max()),
        returns=tuple(_returns(trace, days) for days in RETURN_DAYS),
        without_fault_frac=float((counts == 0).mean()),
        worst_shares=tuple(float(ranked[: round(share * trace.nodes)].sum() / ranked.sum()) for share in WORST_SHARES),
        gap_cv=float(gaps.std() / gaps.mean()) if gaps.size > 1 and gaps.mean() > 0 else None,
        short_gap_frac=float((gaps < BURST_WINDOW_H).mean()) if gaps.size else None,
        burst_frac=float(_marked(in_burst).mean()),
        burst_max=int(in_burst.max()),
        merged=tuple(_merged(trace, days) for days in MERGE_DAYS),
        classes=_classes(trace, repair_h),
    )


def gamma_shape(counts: Ints) -> float | None:
    """Shape of Gamma node rates by moments, mean^2 / (variance - mean); None where the variance is not above the mean.

    Sources
    -------
    Gamma-Poisson law. Checked on StepFun's trace: 0.9256529.
    """
    mean, variance = float(counts.mean()), float(counts.var(ddof=1)) if counts.size > 1 else 0.0
    return mean**2 / (variance - mean) if variance > mean else None


def _per_1000(trace: FaultTrace, faults: int) -> float:
    return faults / trace.node_days * 1000.0


def _down(table: DownTable) -> tuple[float, float, tuple[float, float]]:
    """Mean, standard deviation, p95 and p99 of nodes down at once, by time."""
    down, weights = table.down_nodes, table.weights
    mean = float(weights @ down)
    law = np.cumsum(np.bincount(down, weights=weights))
    p95, p99 = (float(np.searchsorted(law, p)) for p in (0.95, 0.99))
    return mean, float(np.sqrt(weights @ (down - mean) ** 2)), (p95, p99)


def _by_node(trace: FaultTrace) -> list[list[tuple[float, float]]]:
    episodes: dict[str, list[tuple[float, float]]] = {}
    for item in trace.episodes:
        episodes.setdefault(item.node, []).append((item.start_h, item.end_h))
    return list(episodes.values())


def _returns(trace: FaultTrace, days: float) -> tuple[float, float]:
    """Share of returns with a new fault of that node within `days`, and 1 - exp(-rate * days) of equal nodes."""
    soon = sum(
        after - end <= days * DAY_H
        for episodes in _by_node(trace)
        for (_, end), (after, _) in itertools.pairwise(episodes)
    )
    rate_per_day = len(trace.episodes) / trace.node_days
    return soon / len(trace.episodes), float(-np.expm1(-rate_per_day * days))


def _burst_sizes(start_h: Floats) -> Ints:
    """(episodes,) starts in the window that begins with each."""
    last = np.searchsorted(start_h, start_h + BURST_WINDOW_H + SLACK_H, side="right")
    return np.asarray(last - np.arange(start_h.size), dtype=np.int64)


def _marked(sizes: Ints) -> Floats:
    marks = np.zeros(sizes.size)
    for first in np.flatnonzero(sizes >= BURST_STARTS):
        marks[first : first + sizes[first]] = 1.0
    return marks


def _merged(trace: FaultTrace, gap_days: float) -> Merged:
    """First faults, and how unequal nodes are, once repeated faults soon after a return count as one."""
    counts = np.zeros(trace.nodes, dtype=np.int64)
    for code, episodes in enumerate(_by_node(trace)):
        until = -np.inf
        for start, end in episodes:
            counts[code] += start - until > gap_days * DAY_H
            until = max(until, end)
    return Merged(gap_days, _per_1000(trace, int(counts.sum())), gamma_shape(counts))


def _classes(trace: FaultTrace, repair_h: Floats) -> tuple[ClassSummary, ...]:
    names = np.array([item.fault_class for item in trace.episodes])
    return tuple(
        ClassSummary(
            name,
            count,
            _per_1000(trace, count),
            float(repair_h[names == name].mean()),
            float(np.median(repair_h[names == name])),
        )
        for name, count in Counter(names.tolist()).most_common()
    )
