"""What faults do to the requests of a year."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sim.errors import SimError
from sim.scenario.scenario import Scenario
from sim.simulation.check import Check, check
from sim.stats.crossed import crossed_interval
from sim.study.annual.counts import METRICS, Floats, column
from sim.study.annual.episode import Episode, run_episodes
from sim.study.annual.joining import (
    Part,
    Placing,
    Term,
    Weights,
    lost,
    product,
    usual_strata,
    weigh,
)
from sim.study.annual.shape import LONGEST_S, Key, Kind, Shape
from sim.study.annual.steady import Steady
from sim.study.annual.stratum import Stratum, serves, whole_cluster
from sim.study.annual.years import Years
from sim.study.metric import Metric
from sim.study.workers import Progress
from sim.units import HOUR_S

SETTLED: Final = 1.25  # times the patience of clients, and an outage has long been what it will be
WARMUP_TAILS: Final = 8.0  # times what slow requests take; less was seen to be too little in a system of load 0.7
LEAST_STEADY_S: Final = 300.0  # measured of a stratum, however short the scenario's own run
SHARE_STEADY: Final = 0.25  # of the work, for the progress figure


@dataclass(frozen=True, slots=True)
class PartLine:
    """What one cause adds to the counts of a year.

    Attributes
    ----------
    cause : fault class or planned work.
    order : 1 where the cluster was whole before, 2 where something was lost already.
    events_per_year : how often.
    metrics : what it adds per year, by name of the count.
    """

    cause: str
    order: int
    events_per_year: float
    metrics: Mapping[str, Metric]


@dataclass(frozen=True, slots=True)
class Annual:
    """A year with faults against one without.

    Attributes
    ----------
    metrics : annual figures with intervals.
    parts : by cause and order.
    strata : share of the time in each stratum, and counts per second in it.
    episodes : responses simulated, by key.
    shapes : durations and gaps of each kind.
    years : of the clock of days.
    work : engine events of all runs, and what the same runs would have cost jointly.
    bad_by_faults : (years, replications) bad requests that faults add to each year.
    notes : what a reader must know.
    """

    scenario: Scenario
    metrics: tuple[Metric, ...]
    parts: tuple[PartLine, ...]
    strata: Mapping[Stratum, tuple[float, Mapping[str, float]]]
    episodes: Mapping[Key, tuple[Episode, ...]]
    shapes: Mapping[Kind, Shape]
    years: int
    work: Mapping[str, float]
    bad_by_faults: Floats
    notes: tuple[str, ...] = ()
    manifest: Mapping[str, Any] | None = None

    def metric(self, name: str) -> Metric:
        """One figure by name.

        Raises
        ------
        SimError : there is no such figure.
        """
        for metric in self.metrics:
            if metric.metric == name:
                return metric
        raise SimError(f"there is no annual figure {name!r}; there are {', '.join(m.metric for m in self.metrics)}")

    def value(self, name: str) -> float:
        """Value of one figure; NaN where it cannot be given."""
        value = self.metric(name).value
        return float("nan") if value is None else value


def annual(
    scenario: Scenario,
    years: Years,
    *,
    replications: int = 5,
    workers: int = 0,
    progress: Progress | None = None,
) -> Annual:
    """Join years of faults with the responses to single ones.

    Parameters
    ----------
    years : of the clock of days, for the replicas of this scenario.
    replications : of every run of requests.

    Raises
    ------
    SimError : the scenario cannot work even without faults, or its load ends.
    """
    found = check(scenario)
    if found.built is None or found.infeasible is not None:
        raise SimError(str(found.infeasible))
    quiet = scenario.with_({"reliability.faults": False, "reliability.inject": []})
    steady = Steady(quiet, replications, workers, years.pace)
    ranks = _ranks(found)
    whole = whole_cluster(years.pools)
    placing = Placing.of(years.events, max(LONGEST_S, SETTLED * steady.patience_s))
    strata = usual_strata(years.segments, ranks)
    horizon_s = max(steady.warmup_s + LEAST_STEADY_S, scenario.run.horizon_s)
    steady.extend(
        dict.fromkeys([whole, *strata.values()], horizon_s),
        None if progress is None else lambda share: progress(SHARE_STEADY * share),
    )
    drain_s = {key: _drain_s(key, found, steady, ranks) for key in placing.keys}
    episodes = run_episodes(
        steady,
        placing.shapes,
        placing.keys,
        drain_s,
        None if progress is None else lambda share: progress(SHARE_STEADY + (1.0 - SHARE_STEADY) * share),
    )
    weights = weigh(years.segments, years.events, years.count, years.year_s, placing, strata)
    values: dict[Term, Floats] = {(stratum,): steady.rates(stratum) for stratum in {whole, *strata.values()}}
    for key, responses in episodes.items():
        values |= {(key, index): response.impulse for index, response in enumerate(responses)}
    if progress is not None:
        progress(1.0)
    joined = _Joined(scenario.name, years, weights, values, episodes, placing, ranks, whole)
    work = steady.work + sum(item.work for responses in episodes.values() for item in responses)
    cpu_s = steady.cpu_s + sum(item.cpu_s for responses in episodes.values() for item in responses)
    return Annual(
        scenario=scenario,
        metrics=tuple(joined.metrics()),
        parts=tuple(joined.lines()),
        strata=joined.strata(),
        episodes=episodes,
        shapes=placing.shapes,
        years=years.count,
        work={"engine_events": float(work), "cpu_s": cpu_s} | joined.jointly(steady, work),
        bad_by_faults=joined.bad_by_faults(),
        notes=tuple(_notes(weights, episodes, years, steady)),
    )


@dataclass(frozen=True, slots=True)
class _Joined:
    """Weights and values of all terms, and what they come to."""

    name: str
    years: Years
    weights: Weights
    values: Mapping[Term, Floats]
    episodes: Mapping[Key, tuple[Episode, ...]]
    placing: Placing
    ranks: Sequence[int]
    whole: Stratum

    def metrics(self) -> list[Metric]:
        """Annual figures."""
        table = product(self.weights.years, self.values)  # (years, replications, metrics)
        without = self.values[(self.whole,)] * self.years.year_s
        excess = table - without
        sent, bad, good = column("arrived"), column("bad"), column("good_tokens")
        attained = 1.0 - table[:, :, bad] / table[:, :, sent]
        found = [
            self._of("slo_attainment_frac", "fraction", attained),
            self._of(
                "slo_attainment_without_faults_frac", "fraction", (1.0 - without[:, bad] / without[:, sent])[None]
            ),
            self._of("requests_per_year", "requests/year", table[:, :, sent]),
            self._of("bad_requests_per_year", "requests/year", table[:, :, bad]),
            self._of("bad_requests_by_faults_per_year", "requests/year", excess[:, :, bad], signed=True),
        ]
        for name, count in (
            ("failed_requests", "failed"),
            ("abandoned_requests", "abandoned"),
            ("retries", "retries"),
            ("killed_attempts", "killed"),
            ("lost_output_tokens", "lost_tokens"),
            ("recomputed_prompt_tokens", "wasted_prefill_tokens"),
        ):
            unit = f"{name.split('_')[-1]}/year"
            found.append(self._of(f"{name}_by_faults_per_year", unit, excess[:, :, column(count)], signed=True))
        found.append(self._of("good_output_tokens_per_year", "tokens/year", table[:, :, good]))
        ratio = without[None, :, good] / np.maximum(table[:, :, good], 1.0)
        found.append(self._of("cost_per_good_token_factor", "-", ratio))
        per_replica = self.values[(self.whole,)][None, :, column("delivered_tokens")] / sum(self.years.pools)
        tainted = per_replica * self.years.tainted_s / self.years.count
        found.append(self._of("tainted_output_tokens_per_year", "tokens/year", tainted))
        lost_h = excess[:, :, bad] / table[:, :, sent] * self.years.year_s / HOUR_S
        found.append(self._of("down_by_requests_h_per_year", "h/year", lost_h, signed=True))
        return [*found, *self._by_time(), *self._worst_hours()]

    def _of(self, name: str, unit: str, table: Floats, *, signed: bool = False) -> Metric:
        estimate = crossed_interval(table)
        if signed:
            return Metric(self.name, name, unit, estimate.value, estimate.low, estimate.high, estimate.note)
        return Metric.of(self.name, name, unit, estimate)

    def _by_time(self) -> list[Metric]:
        seconds: dict[str, tuple[str, Callable[[Stratum], float]]] = {
            "capacity_lost_replica_h_per_year": (
                "replica-hours/year",
                lambda stratum: float(sum(lost(stratum, self.ranks))),
            ),
            "degraded_h_per_year": ("h/year", lambda stratum: float(stratum != self.whole)),
            "down_h_per_year": ("h/year", lambda stratum: float(not serves(stratum))),
        }
        found = []
        for name, (unit, measure) in seconds.items():
            rows = [
                [sum(s * measure(term[0]) for term, s in row.items() if len(term) == 1) / HOUR_S]
                for row in self.weights.years
            ]
            found.append(self._of(name, unit, np.array(rows)))
        return found

    def _worst_hours(self) -> list[Metric]:
        """Share of bad requests in the worst hour of a year, in the mean and by quantiles of the years."""
        usual = self.values[(self.whole,)].mean(axis=0)
        worst = np.full(self.years.count, usual[column("bad")] / usual[column("arrived")])
        for event in self.years.events:
            key, parts, _ = self.placing.place(event)
            share = sum(weight * self.episodes[key][index].worst_hour_frac for index, weight in parts)
            year = min(int(event.at_s / self.years.year_s), self.years.count - 1)
            worst[year] = max(worst[year], share)
        median, high = np.quantile(worst, [0.5, 0.95], method="inverted_cdf")
        return [
            self._of("worst_hour_bad_mean_frac", "fraction", worst[:, None]),
            Metric(self.name, "worst_hour_bad_p50_frac", "fraction", float(median)),
            Metric(self.name, "worst_hour_bad_p95_frac", "fraction", float(high), note="one year in twenty is worse"),
        ]

    def lines(self) -> list[PartLine]:
        """What each cause adds, most bad requests first; intervals are those of the responses."""
        count = self.years.count
        found = []
        for part in sorted({*self.weights.parts, *self.weights.events}):
            cause, order = part
            table = product(self.weights.of(part), self.values)
            metrics = {name: self._of(name, "1/year", table[:, :, column(name)], signed=True) for name in METRICS}
            found.append(PartLine(cause, order, self.weights.events[part] / count, metrics))
        return sorted(found, key=lambda line: -(line.metrics["bad"].value or 0.0))

    def strata(self) -> dict[Stratum, tuple[float, Mapping[str, float]]]:
        """Share of the time and mean rates of each stratum, longest first."""
        seconds: dict[Stratum, float] = {}
        for row in self.weights.years:
            for term, weight in row.items():
                if len(term) == 1:
                    seconds[term[0]] = seconds.get(term[0], 0.0) + weight
        total = sum(seconds.values())
        ranked = sorted(seconds, key=lambda stratum: -seconds[stratum])
        return {
            stratum: (
                seconds[stratum] / total,
                dict(zip(METRICS, self.values[(stratum,)].mean(axis=0).tolist(), strict=True)),
            )
            for stratum in ranked
        }

    def bad_by_faults(self) -> Floats:
        """(years, replications) bad requests beyond those of a whole cluster."""
        bad = column("bad")
        table = product(self.weights.years, self.values)[:, :, bad]
        found: Floats = table - self.values[(self.whole,)][None, :, bad] * self.years.year_s
        return found

    def jointly(self, steady: Steady, work: int) -> dict[str, float]:
        """What years of requests, simulated through, would cost for an interval of excess bad requests as narrow.

        The variance of one such year is that of its faults, that of the responses to them, and that of the requests in
        between; the latter two by the spread of the replications, over as many seconds as these have.
        """
        bad = column("bad")
        table = self.bad_by_faults()
        if min(table.shape) < 2:
            return {}
        estimate = crossed_interval(table)
        assert estimate.value is not None
        assert estimate.high is not None
        runs = steady.counts(self.whole)
        seconds = float(np.mean([len(found.values) for found in runs])) * 30.0
        noise = float(self.values[(self.whole,)][:, bad].var(ddof=1)) * seconds * self.years.year_s
        one_year = float(table.mean(axis=1).var(ddof=1)) + noise
        half = (estimate.high - estimate.value) / 1.96
        years = one_year / max(half**2, 1e-12)
        events = years * self.years.year_s / seconds * float(np.mean([found.events for found in runs]))
        return {"joint_years": years, "joint_engine_events": events, "saving": events / max(work, 1)}


def _ranks(found: Check) -> tuple[int, ...]:
    assert found.built is not None
    cluster = found.built.cluster
    own = cluster.limits.data_parallel_size
    return (own,) if cluster.decode is None else (own, cluster.decode.limits.data_parallel_size)


def _drain_s(key: Key, found: Check, steady: Steady, ranks: Sequence[int]) -> float:
    """Seconds of drain per second of the state that varies, by the fluid bound with each replica at its upper bound."""
    if found.bound is None:
        return 0.0
    offered = float(steady.rates(key.entry)[:, column("arrived")].mean())
    bounds = [found.bound, found.decode_bound] if found.decode_bound is not None else [found.bound]
    worst = 0.0
    for bound, pool, gone in zip(bounds, key.entry, lost(key.entry, ranks), strict=True):
        if bound is None:
            continue
        up = len(pool) - gone
        before, during = bound.requests_rps * up, bound.requests_rps * max(0.0, up - 1.0)
        if before > offered > during:
            worst = max(worst, (offered - during) / (before - offered))
    return min(worst, 2.0)


def _notes(weights: Weights, episodes: Mapping[Key, tuple[Episode, ...]], years: Years, steady: Steady) -> list[str]:
    found = []
    cut = sum(not item.clean for responses in episodes.values() for item in responses)
    if cut:
        found.append(
            f"{cut} of {sum(map(len, episodes.values()))} responses were cut: something was left of the event when the "
            "window ended, so their excess is a lower bound."
        )
    slow_s = steady.tail_s(whole_cluster(years.pools))
    if steady.warmup_s < WARMUP_TAILS * slow_s:
        found.append(
            f"The warm-up of {steady.warmup_s:,.0f} s is short where slow requests take {slow_s:,.0f} s: events may "
            "have met queues that had not settled. Raise run.warmup_s."
        )
    if weights.replaced_events:
        found.append(
            f"{weights.replaced_events:,} of {len(years.events):,} events are of a kind, or met a company, too rare to "
            "simulate: they have the response of the commonest that begins alike, or of the same in a whole cluster."
        )
    if weights.replaced_s > 0.0:
        share = weights.replaced_s / (years.count * years.year_s)
        found.append(f"A share of {share:.2g} of the time has the rates of a more usual stratum at least as bad.")
    return found


__all__ = ["Annual", "Part", "PartLine", "annual"]
