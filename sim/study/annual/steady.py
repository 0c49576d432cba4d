"""Runs of a stratum that does not change: rates in it, and what an event in it is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sim.scenario.scenario import Scenario
from sim.simulation.build import build
from sim.study.annual.counts import BIN_S, Counts, Floats, column
from sim.study.annual.scripted import Script, run_scripts
from sim.study.annual.stratum import Stratum, opening, serves
from sim.study.workers import Progress

LATE_FRAC: Final = 0.8  # share of bad requests from which a stratum may still be filling its queues
GIVEN_UP_FRAC: Final = 0.01  # timeouts per request from which it certainly is


@dataclass(slots=True)
class Steady:
    """Runs of strata, one per replication each, as long as anybody needed so far.

    Attributes
    ----------
    pace : usual pace of steps.
    warmup_s : whole bins, after which a stratum that keeps up is steady.
    patience_s : after which clients have used up all attempts, so that one that does not keep up is steady too.
    work, cpu_s : engine events and processor time of all runs.
    """

    scenario: Scenario
    replications: int
    workers: int = 0
    pace: float = 1.0
    warmup_s: float = 0.0
    patience_s: float = 0.0
    work: int = 0
    cpu_s: float = 0.0
    _runs: dict[Stratum, tuple[Counts, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        client = build(self.scenario).cluster.client
        self.warmup_s = BIN_S * -(-self.scenario.run.warmup_s // BIN_S)
        self.patience_s = (client.max_retries + 1) * client.request_timeout_s

    def extend(self, wanted: Mapping[Stratum, float], progress: Progress | None = None) -> None:
        """See to it that there are runs of these strata that last so many seconds at least."""
        missing = {stratum: s for stratum, s in wanted.items() if not self._reaches(stratum, s)}
        self._run(missing, progress)
        slow = {s: self.patience_s + missing[s] for s in missing if self.filling(s)}
        self._run({s: horizon_s for s, horizon_s in slow.items() if not self._reaches(s, horizon_s)}, None)

    def counts(self, stratum: Stratum) -> tuple[Counts, ...]:
        """One per replication."""
        return self._runs[stratum]

    def rates(self, stratum: Stratum) -> Floats:
        """(replications, metrics) per second in the steady state."""
        return np.array([self._rates(stratum, counts) for counts in self._runs[stratum]])

    def tail_s(self, stratum: Stratum) -> float:
        """How long the requests of a bin take to be over, nearly all of them."""
        return max(counts.tail_s for counts in self._runs[stratum])

    def filling(self, stratum: Stratum) -> bool:
        """Whether queues may grow until clients give up, because somebody serves but not fast enough."""
        if not serves(stratum):
            return False
        values = self._runs[stratum][0].values[round(self.warmup_s / BIN_S) :].sum(axis=0)
        bad, arrived, timeouts = (values[column(name)] for name in ("bad", "arrived", "timeouts"))
        return bool(bad > LATE_FRAC * arrived or timeouts > GIVEN_UP_FRAC * arrived)

    def _rates(self, stratum: Stratum, counts: Counts) -> Floats:
        horizon_s = len(counts.values) * BIN_S
        begin_s = self.patience_s if self.filling(stratum) else self.warmup_s
        begin_s = BIN_S * -(-begin_s // BIN_S)
        tail_s = min(counts.tail_s, 0.5 * (horizon_s - begin_s))
        window = counts.between(begin_s, horizon_s - tail_s)
        rates: Floats = window.sum(axis=0) / (len(window) * BIN_S)
        return rates

    def _reaches(self, stratum: Stratum, horizon_s: float) -> bool:
        runs = self._runs.get(stratum)
        return runs is not None and len(runs[0].values) * BIN_S >= horizon_s - 1e-6

    def _run(self, wanted: Mapping[Stratum, float], progress: Progress | None) -> None:
        if not wanted:
            return
        scripts = [
            Script(opening(stratum), self.warmup_s, horizon_s, replication, self.pace)
            for stratum, horizon_s in wanted.items()
            for replication in range(self.replications)
        ]
        found = run_scripts(self.scenario, scripts, workers=self.workers, progress=progress)
        for index, stratum in enumerate(wanted):
            self._runs[stratum] = tuple(found[index * self.replications : (index + 1) * self.replications])
        self.work += sum(counts.events for counts in found)
        self.cpu_s += sum(counts.cpu_s for counts in found)


def cumulative(values: Floats) -> Floats:
    """(bins + 1, metrics) sums up to the edge of each bin."""
    return np.vstack((np.zeros(values.shape[1]), np.cumsum(values, axis=0)))


def between(sums: Floats, begin_s: float, end_s: float) -> Floats:
    """(metrics,) counted from `begin_s` to `end_s`; inside a bin counts are taken as spread evenly."""
    edges = np.arange(len(sums)) * BIN_S
    columns: Iterable[float] = (
        np.interp(end_s, edges, sums[:, index]) - np.interp(begin_s, edges, sums[:, index])
        for index in range(sums.shape[1])
    )
    return np.fromiter(columns, dtype=np.float64, count=sums.shape[1])
