"""Workload presets of the catalog, as arrivals and lengths."""

from __future__ import annotations

from collections.abc import Iterator

from sim.catalog.tables import Fact, subject
from sim.errors import CatalogError, ScenarioError
from sim.scenario.workload_presets import TABLE
from sim.simulation.preset_rows import PresetRows
from sim.units import HOUR_S
from sim.workload.arrivals.mmpp import Mmpp
from sim.workload.arrivals.operational import OperationalTime
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.process import ArrivalProcess
from sim.workload.arrivals.profile import RateProfile, week_profile
from sim.workload.arrivals.renewal import Renewal
from sim.workload.lengths.empirical import QuantileTable
from sim.workload.lengths.law import LengthLaw
from sim.workload.lengths.lognormal import Lognormal

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def preset_mmpp(name: str) -> Mmpp:
    """The fitted Markov-modulated Poisson process of a trace: `azure2023_code`, `azure2023_conv`.

    Raises
    ------
    CatalogError : no such preset.
    """
    rows = PresetRows(name)
    states = range(int(rows.number("states")))
    rates_rps = tuple(rows.number(f"rate_rps_{i}") for i in states)
    if rows.has("step_s"):
        matrix = [[rows.number(f"transition_{i}_{j}") for j in states] for i in states]
        return Mmpp.from_transition_matrix(rates_rps, matrix, step_s=rows.number("step_s"))
    return Mmpp(rates_rps, tuple(rows.number(f"mean_dwell_s_{i}") for i in states))


def preset_week(name: str, rate_rps: float | None = None) -> RateProfile:
    """A week of hourly load with a given mean, or with the mean that was observed.

    Raises
    ------
    CatalogError : no such preset.
    """
    rows = PresetRows(name)
    hours = [rows.number(f"weekday_load_{hour:02d}") for hour in range(24)]
    days = [rows.number(f"day_factor_{day}") for day in DAYS]
    return week_profile(rows.number("observed_rate_rps") if rate_rps is None else rate_rps, hours, day_factors=days)


def preset_arrivals(
    name: str, rate_rps: float | None, *, week: bool = False, start_h: float = 0.0, sessions: bool = False
) -> ArrivalProcess:
    """Arrivals of a workload preset.

    Parameters
    ----------
    rate_rps : long-run mean; the observed one when None.
    week : also follow the preset's week of hourly load; without it the process is stationary.
    start_h : hour of the week at time zero.
    sessions : whether it is sessions that arrive; some presets have another law for them than for their calls.

    Raises
    ------
    ScenarioError : no rate given and none observed, or a week asked for that the preset does not have.
    CatalogError : no such preset.
    """
    rows = PresetRows(name)
    if rate_rps is None:
        if not rows.has("observed_rate_rps"):
            raise ScenarioError(
                f"preset {name!r} sets the shape of arrivals, not their rate", key="rate_rps", valid="> 0"
            )
        rate_rps = rows.number("observed_rate_rps")
    base = _burst_law(rows, rate_rps, sessions=sessions)
    if not week:
        return base
    if not rows.has("arrival_profile"):
        raise ScenarioError(
            f"preset {name!r} has no week of hourly load", key="week_profile", value=True, valid="false"
        )
    return OperationalTime(preset_week(rows.word("arrival_profile"), rate_rps), base, start_h * HOUR_S)


def preset_length(name: str, which: str) -> LengthLaw:
    """Length law of a workload preset; `which` is `input` or `output`.

    Raises
    ------
    CatalogError : no such preset.
    """
    rows = PresetRows(name)
    law = rows.word(f"{which}_law")
    if law == "quantiles":
        points = sorted(rows.by_prefix(f"{which}_quantile_").items())
        return QuantileTable(tuple(p for p, _ in points), tuple(tokens for _, tokens in points))
    if law != "lognormal":
        raise CatalogError(f"{TABLE}: {name}.{which}_law is {law!r}; known: lognormal, quantiles")
    truncation = rows.word(f"{which}_truncation") if rows.has(f"{which}_truncation") else "clamp"
    return Lognormal(
        rows.number(f"{which}_median_tokens"),
        rows.number(f"{which}_sigma"),
        int(rows.number(f"{which}_min_tokens")) if rows.has(f"{which}_min_tokens") else 1,
        int(rows.number(f"{which}_max_tokens")) if rows.has(f"{which}_max_tokens") else None,
        "resample" if truncation == "resample" else "clamp",
    )


def preset_rank_correlation(name: str) -> float:
    """Spearman correlation of prompt and output length of a workload preset.

    Raises
    ------
    CatalogError : no such preset.
    """
    return PresetRows(name).number("rank_correlation")


def preset_facts(name: str, *prefixes: str) -> Iterator[tuple[str, Fact]]:
    """Rows of a subject whose parameter starts with one of the prefixes, by dotted name.

    Raises
    ------
    CatalogError : no such preset.
    """
    for parameter, fact in subject(TABLE, name).items():
        if parameter.startswith(prefixes):
            yield f"{TABLE}.{name}.{parameter}", fact


def _burst_law(rows: PresetRows, rate_rps: float, *, sessions: bool) -> ArrivalProcess:
    law = rows.word("session_arrival_law") if sessions and rows.has("session_arrival_law") else rows.word("arrival_law")
    if law == "poisson":
        return Poisson(rate_rps)
    if law in ("gamma", "weibull"):
        return Renewal("gamma" if law == "gamma" else "weibull", rate_rps, rows.number("arrival_cv"))
    if law == "mmpp":
        return preset_mmpp(rows.word("arrival_mmpp")).scaled_to(rate_rps)
    raise CatalogError(f"{TABLE}: {rows.name}.arrival_law is {law!r}; known: poisson, gamma, weibull, mmpp")
