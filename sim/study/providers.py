"""What a provider's failures add up to in a year."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp
from typing import Final

import numpy as np

from sim.errors import ScenarioError
from sim.faults.outages import Profile, profile
from sim.faults.provider import Provider
from sim.stats.estimate import Estimate
from sim.stats.mean import mean_interval
from sim.stats.proportion import proportion_interval
from sim.streams import Streams
from sim.study.provider_catalog import Circumstances, price_changes, provider
from sim.units import YEAR_H

HOUR_H, DAY_H, WEEK_H = 1.0, 24.0, 168.0
OVER: Final = {"1 h": HOUR_H, "1 day": DAY_H, "1 week": WEEK_H}
PRICE_RISE: Final = 1.25
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """One service, or one path to it, over many years.

    Attributes
    ----------
    name : of the service.
    clear, served : share of time without any failing request, and share of requests that do not fail.
    lost_h : hours of all requests lost in a year, by cause.
    outage_days : share of days on which any request fails.
    worst_hour, worst_day : share of requests that fail in the worst clock hour and day of a year, mean over years.
    longest_h : longest unbroken outage of a year, mean over years.
    over : chance that a year has an unbroken outage above an hour, a day, a week.
    theory_clear, theory_served : closed forms beside `clear` and `served`; None where there is none.
    retirements : forced migrations to another model a year; None for what does not retire.
    price_rise : chance that the price is more than a quarter above today's at some time of a year; None likewise.
    """

    name: str
    clear: Estimate
    served: Estimate
    lost_h: dict[str, Estimate]
    outage_days: Estimate
    worst_hour: Estimate
    worst_day: Estimate
    longest_h: Estimate
    over: dict[str, Estimate]
    theory_clear: float | None = None
    theory_served: float | None = None
    retirements: Estimate | None = None
    price_rise: Estimate | None = None


def simulate_providers(
    services: Sequence[str],
    customer: Circumstances,
    *,
    years: int,
    replications: int,
    seed: int,
    progress: Progress | None = None,
) -> list[ServiceFigures]:
    """Figures of each service; shared shocks hit them at the same moments.

    Raises
    ------
    CatalogError : unknown service. ScenarioError : too few years or replications.
    """
    check_size(years, replications)
    chosen = [provider(name, customer) for name in services]
    found = []
    for index, one in enumerate(chosen):
        profiles, retired = [], []
        for replication in range(replications):
            streams = Streams(seed, replication)
            horizon_h = years * YEAR_H
            profiles.append(profile(one.outages(horizon_h, streams), horizon_h))
            ends = [] if one.retirement is None else one.retirement.draw_h(horizon_h, streams, one.name)
            retired.append(len(ends) / years)
            if progress is not None:
                progress((index + (replication + 1) / replications) / len(chosen))
        found.append(
            figures(
                one.name,
                profiles,
                theory=expected(one) if customer.rates != "drawn" and not customer.withdrawal else None,
                retirements=mean_interval(retired),
                price_rise=_price_rise(one.name, seed, replications * years),
            )
        )
    return found


def check_size(years: int, replications: int) -> None:
    """Refuse a study without a year or without an interval.

    Raises
    ------
    ScenarioError : naming the argument.
    """
    if years < 1:
        raise ScenarioError("out of range", key="years", value=years, valid="1 or more")
    if replications < 2:
        raise ScenarioError("an interval needs two", key="replications", value=replications, valid="2 or more")


def figures(
    name: str,
    profiles: Sequence[Profile],
    *,
    theory: tuple[float, float | None] | None = None,
    retirements: Estimate | None = None,
    price_rise: Estimate | None = None,
) -> ServiceFigures:
    """Figures of independent replications, whole years each."""
    years = profiles[0].horizon_h / YEAR_H
    longest_h = [one.longest_h() for one in profiles]
    longest = np.concatenate(longest_h)
    lost = [one.lost_h() for one in profiles]
    return ServiceFigures(
        name,
        clear=mean_interval([one.clear_frac for one in profiles]),
        served=mean_interval([one.served_frac for one in profiles]),
        lost_h={cause: mean_interval([hours[cause] / years for hours in lost]) for cause in profiles[0].causes},
        outage_days=mean_interval([one.touched_frac(DAY_H) for one in profiles]),
        worst_hour=mean_interval([float(one.worst_frac(HOUR_H).mean()) for one in profiles]),
        worst_day=mean_interval([float(one.worst_frac(DAY_H).mean()) for one in profiles]),
        longest_h=mean_interval([float(one.mean()) for one in longest_h]),
        over={label: proportion_interval(int((longest > hours).sum()), longest.size) for label, hours in OVER.items()},
        theory_clear=None if theory is None else theory[0],
        theory_served=None if theory is None else theory[1],
        retirements=retirements,
        price_rise=price_rise,
    )


def expected(one: Provider) -> tuple[float, float] | None:
    """Share of time clear and share of requests served, in closed form, causes being independent.

    Incidents are an alternating renewal process; risks and shocks are Poisson streams of outages, of which none is
    running for a share exp(-rate x duration) of the time, so that a share s of the requests fails in all but
    exp(-rate x duration x s) of them. None where a retirement costs service, whose stream is a renewal process, or
    where rates are drawn.
    """
    if one.retirement is not None and one.retirement.loss.outage_h > 0.0:
        return None
    clear = served = 1.0
    for risk in one.risks:
        if not isinstance(risk.rate, float) or risk.happens:
            return None
        load = risk.rate * risk.loss.outage_h / YEAR_H
        clear *= exp(-load) if risk.loss.severity > 0.0 else 1.0
        served *= exp(-load * risk.loss.severity)
    if one.shock is not None:
        load = one.shock.rate_per_year * one.shock.hit_probability * one.shock.duration_mean_h / YEAR_H
        clear, served = clear * exp(-load), served * exp(-load)
    if one.incidents is not None:
        clear, served = clear * one.incidents.clear_frac, served * one.incidents.served_frac
    return clear, served


def _price_rise(name: str, seed: int, years: int) -> Estimate:
    """Chance of a price above `PRICE_RISE` times today's within a year."""
    law = price_changes()
    events = 0
    for year in range(years):
        _, factors = law.draw(YEAR_H, Streams(seed, year), name)
        events += bool((factors > PRICE_RISE).any())
    return proportion_interval(events, years)
