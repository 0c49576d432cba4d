"""`sim providers`: what API providers' failures add up to in a year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from sim.catalog.tables import fact
from sim.catalog.tables import number as catalog_number
from sim.report.figures import decimals_of, number
from sim.report.terminal import bullets, columns, heading, paragraph, render, two_lines
from sim.stats.estimate import Estimate
from sim.study.provider_catalog import TABLE, Circumstances, rate_of
from sim.study.providers import ServiceFigures

PERCENT: Final = 100.0
RISKS: Final = ("model_pulled", "region_cutoff", "regulator_suspension", "weights_barred")
NOTES: Final = (
    (
        "Clear: share of time in which no request fails. Served: share of requests that do not fail, at a steady load. "
        "Brackets hold 95 % intervals over replications; closed form is theory for the same inputs."
    ),
    (
        "Incidents follow the vendors' own status pages to August 2024: self-reported, narrow incidents included, and "
        "with the shares of partial and major outages that give the page's own availability; the status page column "
        "knows incidents only."
    ),
    (
        "Rare events are stated rates, scenarios and no forecasts: each rests on none to two events. They count only "
        "as far as migration takes longer than the notice."
    ),
)
HEAD: Final = ("", "value", "closed form", "status page")
RISK_HEAD: Final = ("event", "seen", "rate", "90 % interval", "used: low, base, high")


def providers_text(found: Sequence[ServiceFigures], customer: Circumstances, years: int, replications: int) -> str:
    """A table for each service, the rates behind the rare events, and how to read them."""
    title = f"API providers, {replications:,} x {years} years, rates of rare events: {customer.rates}"
    if customer.withdrawal:
        title += ", with one withdrawal of the model (stress case)"
    parts: list[RenderableType] = [paragraph(title, "bold", 0)]
    for one in found:
        parts += [heading(one.name), columns(HEAD, _rows(one), "lrrr")]
    parts += [heading("Rates of rare events, per year"), columns(RISK_HEAD, _risk_rows(), "lrrlr"), Text("")]
    return render([*parts, *bullets(NOTES)])


def providers_dict(
    found: Sequence[ServiceFigures], customer: Circumstances, years: int, replications: int
) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "circumstances": asdict(customer),
        "years": years,
        "replications": replications,
        "services": [{**asdict(one), **_page(one.name)} for one in found],
        "rates": {
            name: {"events": rate_of(name).events, "mean": rate_of(name).mean, "interval_90": rate_of(name).interval()}
            for name in RISKS
        },
    }


def limits_text(tier: str, refused: tuple[Estimate, Estimate, dict[str, Estimate]]) -> str:
    """What a tier's rate limits turn away."""
    requests, tokens, by_limit = refused
    rows = [
        ("requests refused", share(requests)),
        ("output tokens refused", share(tokens)),
        *((f"  by {name} per minute", share(part)) for name, part in by_limit.items()),
    ]
    return render([heading(f"Rate limits of {tier}, nothing tried again"), columns(("", "share"), rows, "lr")])


def limits_dict(tier: str, refused: tuple[Estimate, Estimate, dict[str, Estimate]]) -> dict[str, Any]:
    """The same as plain data."""
    requests, tokens, by_limit = refused
    return {
        "tier": tier,
        "requests_refused": asdict(requests),
        "output_tokens_refused": asdict(tokens),
        "by_limit": {name: asdict(part) for name, part in by_limit.items()},
    }


def share(estimate: Estimate) -> str:
    """A share in percent, with its interval and as many digits as that supports."""
    if estimate.value is None:
        return "n/a"
    low, high = (None if end is None else min(max(end, 0.0), 1.0) * PERCENT for end in (estimate.low, estimate.high))
    value = estimate.value * PERCENT
    if low is None or high is None:
        return f"{number(value)} %"
    small = PERCENT - value if value > PERCENT / 2.0 and value < PERCENT else value  # nines count from the other end
    decimals = max(2, decimals_of(small, small - (value - low), small + (high - value)))
    return f"{value:.{decimals}f} % [{low:.{decimals}f} to {high:.{decimals}f}]"


def hours(estimate: Estimate) -> str:
    """Hours with their interval."""
    if estimate.value is None:
        return "n/a"
    if estimate.low is None or estimate.high is None:
        return f"{number(estimate.value)} h"
    if estimate.low == estimate.high:
        return f"{number(estimate.value)} h"
    decimals = max(0, decimals_of(estimate.value, estimate.low, estimate.high))
    low, high = (number(max(end, 0.0), decimals) for end in (estimate.low, estimate.high))
    return f"{number(estimate.value, decimals)} h [{low} to {high}]"


def _rows(one: ServiceFigures) -> list[tuple[str | Text, ...]]:
    page = _page(one.name)
    rows: list[tuple[str | Text, ...]] = [
        ("time clear", share(one.clear), _theory(one.theory_clear), _theory(page["page_any"])),
        ("requests served", share(one.served), _theory(one.theory_served), _theory(page["page_weighted"])),
        *((f"  lost to {cause}, a year", hours(lost), "", "") for cause, lost in one.lost_h.items()),
        ("days with an outage", share(one.outage_days), "", _theory(page["page_outage_days"])),
        ("worst hour of a year, failing", share(one.worst_hour), "", ""),
        ("worst day of a year, failing", share(one.worst_day), "", ""),
        ("longest outage of a year", hours(one.longest_h), "", ""),
        *((f"  years with one over {label}", share(chance), "", "") for label, chance in one.over.items()),
    ]
    if one.retirements is not None and one.retirements.value is not None:
        rows.append(("models retired a year", _plain(one.retirements), "", ""))
    if one.price_rise is not None:
        rows.append(
            (two_lines("price up by over a quarter", "at some time within a year"), share(one.price_rise), "", "")
        )
    return rows


def _risk_rows() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name in RISKS:
        rate = rate_of(name)
        low, high = rate.interval()
        rows.append(
            (name.replace("_", " "), str(rate.events), number(rate.mean, 2), f"{low:.3f} to {high:.2f}", _used(name))
        )
    return rows


def _used(name: str) -> str:
    row = fact(TABLE, name, "rate_per_year")
    return ", ".join("n/a" if not isinstance(item, float) else f"{item:g}" for item in (row.low, row.value, row.high))


def _page(name: str) -> dict[str, float]:
    return {
        "page_any": catalog_number(TABLE, name, "availability_any_outage_frac"),
        "page_outage_days": catalog_number(TABLE, name, "outage_day_frac"),
        "page_weighted": catalog_number(TABLE, name, "availability_weighted_frac"),
    }


def _theory(value: float | None) -> str:
    return "" if value is None else f"{value * PERCENT:.3f} %"


def _plain(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "n/a"
    return f"{estimate.value:.2f} [{estimate.low:.2f} to {estimate.high:.2f}]"
