"""Ways to reach a model (own cluster, API, one behind the other) over the same years.

All paths of one replication draw from the same random streams, so their differences are paired. A path is anything that
gives outages: a provider, the pool of nodes of the closed forms, or the timeline of a fleet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, isfinite, log, nan
from typing import Final

from sim.errors import ScenarioError
from sim.faults.alternating_nodes import AlternatingNodes
from sim.faults.outages import Outages, Profile, failover, profile
from sim.faults.provider import Provider
from sim.faults.provider_policy import AccessRisk
from sim.oracle.availability import k_of_n, unit_availability
from sim.oracle.failover import failover_availability
from sim.oracle.lifetimes import HyperExponential, Lognormal
from sim.stats.estimate import Estimate
from sim.stats.paired import paired_difference
from sim.streams import Streams
from sim.study.providers import Progress, ServiceFigures, check_size, expected, figures
from sim.units import HOUR_S, YEAR_H

OWN: Final = "own"  # random streams of the own cluster
Intervals = Callable[[float, Streams], Sequence[Outages]]


@dataclass(frozen=True, slots=True)
class PathTheory:
    """Closed forms of a path.

    Attributes
    ----------
    clear, served : share of time without a failing request, and of requests served; `served` may be unknown.
    undetected : from a detection delay in hours, the share of time in which the path is down and nobody has noticed.
    least_severity : smallest share of requests that fails at a time, if any does; no failover at a trigger of as much.
    """

    clear: float
    served: float | None
    undetected: Callable[[float], float]
    least_severity: float


@dataclass(frozen=True, slots=True)
class ServicePath:
    """One way to the service.

    Attributes
    ----------
    name : shown, and prefix of its causes.
    intervals : gives its outages from a horizon in hours and the streams of a replication.
    theory : closed forms; None where there are none.
    """

    name: str
    intervals: Intervals
    theory: PathTheory | None = None


@dataclass(frozen=True, slots=True)
class FailoverPath:
    """Two paths, by name, of which the second takes over.

    Attributes
    ----------
    name, first, second : names.
    detection_s : until traffic goes to the second.
    trigger_frac : share of failing requests above which it does.
    """

    name: str
    first: str
    second: str
    detection_s: float
    trigger_frac: float = 0.1


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the paths came to.

    Attributes
    ----------
    paths : figures of each, in the order asked for, failover last.
    against_first : hours of requests lost a year less than on the first path (negative: more), paired; None for itself.
    """

    paths: tuple[ServiceFigures, ...]
    against_first: tuple[Estimate | None, ...]


def node_path(name: str, pool: AlternatingNodes, risks: Sequence[AccessRisk] = ()) -> ServicePath:
    """An own cluster of independent nodes, of which all share random numbers whatever their size.

    Parameters
    ----------
    risks : what can take the weights or the right to use them away.
    """

    def intervals(horizon_h: float, streams: Streams) -> list[Outages]:
        lost = [risk.draw(horizon_h, streams, OWN) for risk in risks]
        return _named(name, [*lost, *pool.outages(horizon_h, streams, OWN)])

    return ServicePath(name, intervals, _pool_theory(pool, risks))


def provider_path(name: str, provider: Provider) -> ServicePath:
    """An API; its causes carry the path's name."""

    def intervals(horizon_h: float, streams: Streams) -> list[Outages]:
        return _named(name, provider.outages(horizon_h, streams))

    return ServicePath(name, intervals, _provider_theory(provider))


def _named(path: str, parts: Sequence[Outages]) -> list[Outages]:
    return [replace(one, cause=f"{path}: {one.cause}") for one in parts]


def compare_paths(
    paths: Sequence[ServicePath],
    failovers: Sequence[FailoverPath] = (),
    *,
    years: int,
    replications: int,
    seed: int,
    progress: Progress | None = None,
) -> Comparison:
    """Simulate all paths and combinations.

    Raises
    ------
    ScenarioError : a name is used twice or unknown, a delay is negative, too few years or replications.
    """
    check_size(years, replications)
    _check_names(paths, failovers)
    horizon_h = years * YEAR_H
    profiles: dict[str, list[Profile]] = {name: [] for name in _names(paths, failovers)}
    for replication in range(replications):
        streams = Streams(seed, replication)
        drawn = {path.name: profile(path.intervals(horizon_h, streams), horizon_h) for path in paths}
        for pair in failovers:
            delay_h = pair.detection_s / HOUR_S
            drawn[pair.name] = failover(drawn[pair.first], drawn[pair.second], delay_h, pair.trigger_frac)
        for name, one in drawn.items():
            profiles[name].append(one)
        if progress is not None:
            progress((replication + 1) / replications)
    theory = {path.name: path.theory for path in paths}
    shown = {name: _theory_pair(one) for name, one in theory.items()}
    shown |= {pair.name: _failover_theory(pair, theory) for pair in failovers}
    found = tuple(figures(name, profiles[name], theory=shown[name]) for name in profiles)
    lost = [[(1.0 - one.served_frac) * YEAR_H for one in profiles[name]] for name in profiles]
    against = (None, *(paired_difference(other, lost[0]) for other in lost[1:]))
    return Comparison(found, against)


def _names(paths: Sequence[ServicePath], failovers: Sequence[FailoverPath]) -> list[str]:
    return [path.name for path in paths] + [pair.name for pair in failovers]


def _check_names(paths: Sequence[ServicePath], failovers: Sequence[FailoverPath]) -> None:
    names = _names(paths, failovers)
    if not paths or len(set(names)) != len(names):
        raise ScenarioError("must differ from each other, and be one at least", key="paths", value=names)
    known = [path.name for path in paths]
    for pair in failovers:
        for key in (pair.first, pair.second):
            if key not in known:
                raise ScenarioError("is no path", key=pair.name, value=key, valid=", ".join(known))
        if not pair.detection_s >= 0.0:
            raise ScenarioError("out of range", key="detection_s", value=pair.detection_s, valid="at least 0")


def _theory_pair(theory: PathTheory | None) -> tuple[float, float | None] | None:
    return None if theory is None else (theory.clear, theory.served)


def _failover_theory(pair: FailoverPath, theory: dict[str, PathTheory | None]) -> tuple[float, float | None] | None:
    """Share of time clear, both paths being independent and each outage of the first being noticed."""
    first, second = theory[pair.first], theory[pair.second]
    if first is None or second is None or pair.trigger_frac >= first.least_severity:
        return None
    undetected = first.undetected(pair.detection_s / HOUR_S)
    if not isfinite(undetected):
        return None
    return failover_availability(first.clear, second.clear, undetected), None


def _pool_theory(pool: AlternatingNodes, risks: Sequence[AccessRisk]) -> PathTheory | None:
    """Nodes by the binomial law, restarts to first order.

    Each fault of a node in service while all replicas are up starts an outage: a restart at once where a spare is up,
    else a wait for nodes and a restart after it.
    """
    if pool.load_frac < 1.0 and pool.replicas > 1:
        return None  # fewer replicas than all may do
    restart_h = pool.restart_s / HOUR_S
    repair = HyperExponential(pool.repair.shares, tuple(mean_s / HOUR_S for mean_s in pool.repair.means_s))
    enough = k_of_n(pool.needed, pool.nodes, unit_availability(pool.mtbf_h, repair.mean))
    starts_per_h = pool.needed / pool.mtbf_h * enough
    clear = enough - starts_per_h * restart_h
    rare: list[tuple[float, float]] = []
    for risk in risks:
        if not isinstance(risk.rate, float) or risk.happens or not 0.0 <= risk.loss.outage_h < inf:
            return None
        rare.append((risk.rate / YEAR_H, risk.loss.outage_h))
        clear *= exp(-risk.rate / YEAR_H * risk.loss.outage_h)

    def undetected(delay_h: float) -> float:
        if delay_h > restart_h:
            return nan
        return starts_per_h * delay_h + sum(per_h * min(delay_h, outage_h) for per_h, outage_h in rare)

    return PathTheory(clear, clear if pool.replicas == 1 else None, undetected, 1.0 / pool.replicas)


def _provider_theory(provider: Provider) -> PathTheory | None:
    both = expected(provider)
    if both is None:
        return None
    severities = [risk.loss.severity for risk in provider.risks if risk.loss.severity > 0.0]
    if provider.incidents is not None and provider.incidents.partial_frac > 0.0:
        severities.append(provider.incidents.partial_severity)
    return PathTheory(*both, lambda delay_h: _undetected(provider, delay_h), min([1.0, *severities]))


def _undetected(provider: Provider, delay_h: float) -> float:
    """Rate of outages times the mean of min(duration, delay), causes apart; overlaps are of second order."""
    if delay_h == 0.0:
        return 0.0
    total = 0.0
    for risk in provider.risks:
        assert isinstance(risk.rate, float)  # there is no theory with drawn rates
        total += risk.rate / YEAR_H * min(delay_h, risk.loss.outage_h)
    if provider.shock is not None:
        shock = provider.shock
        limited_h = HyperExponential((1.0,), (shock.duration_mean_h,)).limited_mean(delay_h)
        total += shock.rate_per_year * shock.hit_probability / YEAR_H * limited_h
    law = provider.incidents
    if law is not None:
        limited_h = Lognormal(law.duration_mu + log(law.coverage), law.duration_sigma).limited_mean(delay_h)
        total += (law.partial_frac + law.major_frac) / law.gap_mean_h * limited_h
    return total
