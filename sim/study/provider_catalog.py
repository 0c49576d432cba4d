"""Providers as the catalog describes them, with the rates of the rare events as stated cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from sim.catalog.tables import fact, number, table
from sim.errors import CatalogError, ScenarioError, nearest
from sim.faults.price_changes import PriceChanges
from sim.faults.provider import Provider
from sim.faults.provider_incidents import IncidentLaw
from sim.faults.provider_limits import RateLimits
from sim.faults.provider_policy import AccessRisk, JeffreysRate, Loss, Retirement
from sim.faults.shared_shock import SharedShock
from sim.units import DAY_H

TABLE: Final = "providers"
SERVICES: Final = ("openai-api", "anthropic-api", "chatgpt", "claude-ai")
TIER: Final = "tier/"
WEEKEND_DAYS, WEEKDAYS = 2.0, 5.0
Case = Literal["none", "low", "base", "high", "drawn"]
CASES: Final[tuple[str, ...]] = get_args(Case)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What depends on the customer, and which rates of rare events to take.

    Attributes
    ----------
    rates : `none` without rare events and shared shocks, the catalog's `low`, `base` or `high`, or `drawn`: one rate
        per replication from the Jeffreys posterior of the events counted.
    exposed : whether a cut-off by region or ownership can hit the customer.
    national : whether the customer is in a jurisdiction whose regulator can suspend the service.
    withdrawal : place one withdrawal of the model by order in the horizon, whatever the rates: a stress case.
    migration_days : from notice until the service runs elsewhere; None for the catalog's.
    affected_frac : share of the traffic that needs the model that is gone; the rest can use the vendor's others.
    """

    rates: Case = "base"
    exposed: bool = False
    national: bool = False
    withdrawal: bool = False
    migration_days: float | None = None
    affected_frac: float = 1.0

    def __post_init__(self) -> None:
        if self.rates not in CASES:
            raise ScenarioError(
                "is no case of rates",
                key="rates",
                value=self.rates,
                valid=", ".join(CASES),
                nearest=nearest(self.rates, CASES),
            )
        if self.migration_days is not None and not self.migration_days >= 0.0:
            raise ScenarioError("out of range", key="migration_days", value=self.migration_days, valid="at least 0")
        if not 0.0 <= self.affected_frac <= 1.0:
            raise ScenarioError("out of range", key="affected_frac", value=self.affected_frac, valid="0 to 1")

    @property
    def migration(self) -> float:
        """Days to migrate."""
        return number(TABLE, "migration", "effort_days") if self.migration_days is None else self.migration_days


def provider(service: str, customer: Circumstances) -> Provider:
    """One service of the catalog.

    Raises
    ------
    CatalogError : unknown service; the message lists them.
    """
    if service not in SERVICES:
        close = nearest(service, SERVICES)
        hint = f"; did you mean {close!r}?" if close else ""
        raise CatalogError(f"the catalog has no provider {service!r}; it has {', '.join(SERVICES)}{hint}")
    return Provider(
        service, incidents(service), tuple(_risks(customer)), retirement(service, customer), _shock(customer)
    )


def incidents(service: str) -> IncidentLaw:
    """Incidents of a service.

    The status page counts every incident, however narrow, so the incident process alone would make a service look
    four to ten times worse than its availability. Three figures of the page say what is left of it: days with an outage
    give the number of incidents with one (an outage touches one day, and a further one for each 24 h), its minutes how
    much of their duration they cover, its major minutes how many of them are total.
    """
    gap_h = number(TABLE, service, "incident_gap_mean_days") * DAY_H
    law = (number(TABLE, service, "incident_duration_ln_mu"), number(TABLE, service, "incident_duration_ln_sigma"))
    cv = number(TABLE, service, "incident_gap_cv")
    raw = IncidentLaw(gap_h, cv, *law).incident_time_frac
    any_frac = 1.0 - number(TABLE, service, "availability_any_outage_frac")
    major_frac = 1.0 - number(TABLE, service, "availability_major_frac")
    days_frac = number(TABLE, service, "outage_day_frac")
    visible = (days_frac - any_frac) * gap_h / DAY_H
    coverage = any_frac / (raw * visible)
    major = visible * major_frac / any_frac
    weekend = number(TABLE, service, "weekend_incident_frac")
    return IncidentLaw(
        gap_h,
        cv,
        *law,
        partial_frac=visible - major,
        major_frac=major,
        partial_severity=number(TABLE, "api", "partial_severity_frac"),
        coverage=coverage,
        weekend_factor=(weekend / WEEKEND_DAYS) / ((1.0 - weekend) / WEEKDAYS),
    )


def retirement(service: str, customer: Circumstances) -> Retirement:
    """End of life of models; notice is the vendor's promise where the catalog has one."""
    own = "retirement_notice_days" in table(TABLE)[service]
    notice = number(TABLE, service, "retirement_notice_days") if own else _retirement("notice_days")
    loss = Loss(notice_days=notice, migration_days=customer.migration, severity=customer.affected_frac)
    return Retirement(_retirement("life_median_days"), _retirement("life_ln_sigma"), loss)


def risk(subject: str, customer: Circumstances, *, happens: bool = False) -> AccessRisk:
    """One class of rare events, with the rate of the case."""
    duration = table(TABLE)[subject].get("duration_days")
    loss = Loss(
        notice_days=number(TABLE, subject, "notice_days"),
        migration_days=customer.migration,
        severity=customer.affected_frac if subject == "model_pulled" else 1.0,
        **({} if duration is None else {"duration_days": float(duration.value)}),
    )
    return AccessRisk(subject.replace("_", " "), _rate(subject, customer.rates), loss, happens)


def rate_of(subject: str) -> JeffreysRate:
    """What the events counted say about a rate."""
    return JeffreysRate(round(number(TABLE, subject, "events")), number(TABLE, subject, "exposure_years"))


def price_changes() -> PriceChanges:
    """How a provider's prices move."""
    market = [number("prices", "api_market", name) for name in ("drift_frac", "volatility")]
    return PriceChanges(number(TABLE, "price_change", "changes_per_year"), *market)


def rate_limits(tier: str) -> RateLimits:
    """Limits of a tier.

    Raises
    ------
    CatalogError : unknown tier; the message lists them.
    """
    tiers = [name.removeprefix(TIER) for name in table(TABLE) if name.startswith(TIER)]
    if tier not in tiers:
        raise CatalogError(f"the catalog has no tier {tier!r} of rate limits; it has {', '.join(tiers)}")
    names = ("requests_per_min", "input_tokens_per_min", "output_tokens_per_min")
    return RateLimits(*(number(TABLE, TIER + tier, name) for name in names))


def _risks(customer: Circumstances) -> list[AccessRisk]:
    found = []
    if customer.rates != "none" or customer.withdrawal:
        found.append(risk("model_pulled", customer, happens=customer.withdrawal))
    if customer.exposed and customer.rates != "none":
        found.append(risk("region_cutoff", customer))
    if customer.national and customer.rates != "none":
        found.append(risk("regulator_suspension", customer))
    return found


def _shock(customer: Circumstances) -> SharedShock | None:
    if customer.rates == "none":
        return None
    case: Case = "base" if customer.rates == "drawn" else customer.rates
    duration, hit = (number(TABLE, "shared_shock", name) for name in ("duration_mean_h", "hit_probability"))
    return SharedShock(_bound("shared_shock", "rate_per_year", case), duration, hit)


def _rate(subject: str, case: Case) -> float | JeffreysRate:
    if case == "none":
        return 0.0
    return rate_of(subject) if case == "drawn" else _bound(subject, "rate_per_year", case)


def _bound(subject: str, parameter: str, case: Case) -> float:
    """The value, or an end of its range."""
    row = fact(TABLE, subject, parameter)
    chosen = {"low": row.low, "high": row.high}.get(case, row.value)
    if not isinstance(chosen, float):
        raise CatalogError(f"{TABLE}: {subject}.{parameter} has no {case} value")
    return chosen


def _retirement(name: str) -> float:
    return number(TABLE, "model_retirement", name)
