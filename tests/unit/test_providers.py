"""Providers as systems with failures: step functions by hand, incidents, policies, limits, the catalog's services."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from sim.catalog.tables import fact, number
from sim.errors import CatalogError, ScenarioError
from sim.faults.outages import Outages, failover, profile
from sim.faults.price_changes import PriceChanges
from sim.faults.provider_incidents import WEEK_H, WEEKDAYS_H, IncidentLaw
from sim.faults.provider_limits import RateLimits, refused
from sim.faults.provider_policy import AccessRisk, JeffreysRate, Loss, Retirement
from sim.faults.shared_shock import SharedShock
from sim.oracle.mmc import erlang_b
from sim.stats.mean import standard_error
from sim.stats.proportion import proportion_interval
from sim.streams import Streams
from sim.study.load_sample import refused_share
from sim.study.provider_catalog import SERVICES, TABLE, Circumstances, incidents, provider, rate_limits, rate_of, risk
from sim.study.providers import expected

Z = 4.5
YEAR_H = 8760.0


def z_of(values: object, theory: float) -> float:
    sample = np.asarray(values, dtype=np.float64)
    return float((sample.mean() - theory) / standard_error(sample))


def test_a_profile_by_hand() -> None:
    """Two causes of 50 % and 40 % overlap for an hour: 70 % fail, 50 booked on the first, 20 on the second."""
    parts = [Outages.of("a", [(1.0, 3.0, 0.5)]), Outages.of("b", [(2.0, 4.0, 0.4), (9.0, 99.0, 1.0)])]
    found = profile(parts, 10.0)

    assert found.edges_h.tolist() == [0, 1, 2, 3, 4, 9, 10]
    assert found.failing_frac == pytest.approx([0, 0.5, 0.7, 0.4, 0, 1.0])
    assert found.lost_h() == pytest.approx({"a": 1.0, "b": 0.2 + 0.4 + 1.0})
    assert found.clear_frac == pytest.approx(0.6)
    assert found.served_frac == pytest.approx(1 - 0.26)
    assert found.worst_frac(2.0) == pytest.approx([0.55])  # hours 2 to 4
    assert found.longest_h() == pytest.approx([3.0])
    assert found.longest_h(at_least=0.6) == pytest.approx([1.0])
    assert found.touched_frac(2.0) == pytest.approx(3 / 5)


def test_worst_windows_are_those_of_each_year() -> None:
    """An outage in the second of two years leaves the first without one."""
    found = profile([Outages.of("a", [(YEAR_H + 30.0, YEAR_H + 36.0, 1.0)])], 2 * YEAR_H)

    assert found.worst_frac(1.0) == pytest.approx([0.0, 1.0])
    assert found.worst_frac(24.0) == pytest.approx([0.0, 0.25])
    assert found.longest_h() == pytest.approx([0.0, 6.0])


def test_failover_by_hand() -> None:
    """An outage of four hours noticed after one; the other path fails for the last of them; back at once afterwards."""
    first = profile([Outages.of("own", [(2.0, 6.0, 1.0), (8.0, 8.5, 1.0), (9.0, 9.5, 0.05)])], 10.0)
    second = profile([Outages.of("api", [(5.0, 7.0, 0.3)])], 10.0)
    both = failover(first, second, 1.0, trigger_frac=0.1)

    assert both.lost_h() == pytest.approx({"own": 1.0 + 0.5 + 0.025, "api": 0.3})
    at_once = failover(first, second, 0.0, trigger_frac=0.1)
    assert at_once.lost_h() == pytest.approx({"own": 0.025, "api": 0.3})
    dead = profile([Outages.of("api", [(0.0, 10.0, 1.0)])], 10.0)
    assert failover(first, dead, 1.0, 0.1).served_frac == pytest.approx(first.served_frac)


def test_incident_gaps_and_durations() -> None:
    """Mean and spread of gaps, mean of the logarithm of durations, over 4,000 incidents."""
    law = IncidentLaw(133.2, 2.0, 0.23, 1.165)
    years = [law.draw(50 * YEAR_H, Streams(3, index), "x") for index in range(6)]
    counts = [one.start_h.size / 50 for one in years]
    gaps = np.concatenate([np.diff(one.start_h) for one in years])

    assert abs(z_of(counts, YEAR_H / 133.2)) < Z
    assert gaps.mean() == pytest.approx(133.2, rel=0.08)
    assert gaps.std() / gaps.mean() == pytest.approx(2.0, rel=0.08)
    assert abs(z_of(np.concatenate([np.log(one.end_h - one.start_h) for one in years]), 0.23)) < Z
    assert all((one.start_h[1:] >= one.end_h[:-1]).all() for one in years)


def test_weekends_have_fewer_incidents_and_the_mean_stays() -> None:
    """With a factor of 0.13 Saturday and Sunday have 5 % of the incidents; without it two sevenths."""
    for factor, share in ((0.13, 0.26 / 5.26), (1.0, 2 / 7)):
        law = IncidentLaw(133.2, 2.0, 0.23, 1.165, weekend_factor=factor)
        found = [law.draw(60 * YEAR_H, Streams(5, index), "x") for index in range(6)]
        weekend = np.concatenate([one.start_h[one.start_h > 0] % WEEK_H >= WEEKDAYS_H for one in found])
        assert abs(z_of(weekend, share)) < Z
        assert abs(z_of([one.start_h.size / 60 for one in found], YEAR_H / 133.2)) < Z


@pytest.mark.parametrize("service", SERVICES)
def test_services_agree_with_their_status_pages(service: str) -> None:
    """Incidents paired with severity give all figures of the page; the weighted one was not used."""
    law = incidents(service)

    assert law.clear_frac == pytest.approx(number(TABLE, service, "availability_any_outage_frac"), abs=1e-12)
    assert law.served_frac == pytest.approx(number(TABLE, service, "availability_weighted_frac"), abs=1e-4)
    assert 1 - law.incident_time_frac * law.coverage * law.major_frac == pytest.approx(
        number(TABLE, service, "availability_major_frac"), abs=1e-12
    )
    days = [profile([law.draw(40 * YEAR_H, Streams(9, i), "x")], 40 * YEAR_H).touched_frac(24.0) for i in range(5)]
    assert np.mean(days) == pytest.approx(number(TABLE, service, "outage_day_frac"), rel=0.12)  # some share a day
    assert law.incident_time_frac > 4 * (1 - law.clear_frac)  # the severity check: all total would be far too low


@pytest.mark.parametrize("service", ["openai-api", "anthropic-api"])
def test_simulated_services_agree_with_their_closed_form(service: str) -> None:
    """Availability by time and by request over 240 years, with the weekend factor on, within z 4.5."""
    one = provider(service, Circumstances(rates="none"))
    found = [profile(one.outages(20 * YEAR_H, Streams(11, index)), 20 * YEAR_H) for index in range(12)]
    theory = expected(one)

    assert theory is not None
    assert abs(z_of([item.clear_frac for item in found], theory[0])) < Z
    assert abs(z_of([item.served_frac for item in found], theory[1])) < Z


def test_a_service_whose_incidents_are_all_total_is_seen() -> None:
    """The negative twin: without the severity the same test fails by far."""
    law = incidents("openai-api")
    total = IncidentLaw(law.gap_mean_h, law.gap_cv, law.duration_mu, law.duration_sigma)
    found = [profile([total.draw(20 * YEAR_H, Streams(11, index), "x")], 20 * YEAR_H) for index in range(12)]

    assert z_of([item.served_frac for item in found], law.served_frac) < -3 * Z


@pytest.mark.parametrize(
    ("subject", "mean", "low", "high"),
    [
        ("model_pulled", 0.14, 0.017, 0.37),
        ("region_cutoff", 0.24, 0.05, 0.53),
        ("regulator_suspension", 0.43, 0.05, 1.1),
        ("weights_barred", 0.33, 0.001, 1.28),
    ],
)
def test_jeffreys_intervals(subject: str, mean: float, low: float, high: float) -> None:
    """Mean and 90 % interval of each class of events, as published."""
    rate = rate_of(subject)
    found_low, found_high = rate.interval()

    assert rate.mean == pytest.approx(mean, abs=0.005)
    assert found_low == pytest.approx(low, abs=0.005)
    assert found_high == pytest.approx(high, abs=0.03)
    draws = [rate.draw(Streams(1, index).generator("x")) for index in range(2000)]
    assert abs(z_of(draws, rate.mean)) < Z


@pytest.mark.parametrize(
    ("loss", "days"),
    [
        (Loss(18.0, 0.0, 30.0), 18.0),
        (Loss(18.0, 0.0, 5.0), 5.0),
        (Loss(notice_days=60.0, migration_days=30.0), 0.0),
        (Loss(notice_days=14.0, migration_days=30.0), 16.0),
    ],
)
def test_an_outage_ends_with_the_event_or_the_migration(loss: Loss, days: float) -> None:
    """min(duration, migration - notice), never negative."""
    assert loss.outage_h == days * 24.0


def test_access_risks_are_poisson_and_one_can_be_placed() -> None:
    """Events a year at the rate; the stress case has one more, within the horizon."""
    loss = Loss(18.0, 0.0, 30.0)
    for happens in (False, True):
        events = AccessRisk("x", 2.0, loss, happens)
        found = [events.draw(YEAR_H, Streams(2, index), "v") for index in range(400)]
        inside = [(one.start_h >= 0).sum() - happens for one in found]
        assert abs(z_of(inside, 2.0)) < Z
    assert all(one.end_h[0] <= YEAR_H for one in found)
    never = AccessRisk("x", 0.0, loss).draw(YEAR_H, Streams(2), "v")
    assert never.start_h.size == 0


def test_a_higher_rate_loses_more_on_the_same_streams() -> None:
    """Low, base and high rates share random numbers: no year of low is worse than the same year of high."""
    served = {}
    for case in ("low", "base", "high"):
        one = provider("openai-api", Circumstances(rates=case))  # type: ignore[arg-type]  # a literal of the loop
        served[case] = [profile(one.outages(3 * YEAR_H, Streams(8, i)), 3 * YEAR_H).served_frac for i in range(40)]
    assert np.mean(served["low"]) > np.mean(served["base"]) > np.mean(served["high"])


def test_retirements_have_the_mean_life() -> None:
    """One per mean life, 550 exp(0.18) days; an outage only where migration outlasts the notice."""
    law = Retirement(550.0, 0.6, Loss(notice_days=60.0, migration_days=70.0))
    ends = [law.draw_h(20 * YEAR_H, Streams(4, index), "v") for index in range(200)]

    assert abs(z_of([len(one) / 20 for one in ends], 365.0 / (550.0 * exp(0.18)))) < Z
    assert (law.outages(ends[0]).end_h - law.outages(ends[0]).start_h).tolist() == pytest.approx([240.0] * len(ends[0]))
    assert Retirement(550.0, 0.6, Loss(notice_days=60.0, migration_days=30.0)).outages(ends[0]).start_h.size == 0


def test_shocks_hit_vendors_together() -> None:
    """All who are hit for certain have the same shocks; at half the chance about half of them, each on its own."""
    sure, half = SharedShock(5.0, 3.0), SharedShock(5.0, 3.0, 0.5)
    a, b = (sure.draw(100 * YEAR_H, Streams(1), name) for name in ("a", "b"))
    c, d = (half.draw(100 * YEAR_H, Streams(1), name) for name in ("a", "b"))

    assert a.start_h.tolist() == b.start_h.tolist()
    assert set(c.start_h) < set(a.start_h)
    assert c.start_h.tolist() != d.start_h.tolist()
    assert c.start_h.size / a.start_h.size == pytest.approx(0.5, abs=0.12)


def test_prices_drift_by_the_year() -> None:
    """Mean of the logarithm's exponential after a year is 1 + drift; without volatility it hardly moves about it."""
    law = PriceChanges(2.0, -0.25, 0.35)
    last = [law.draw(YEAR_H, Streams(6, index), "v")[1] for index in range(4000)]
    assert abs(z_of([one[-1] if one.size else 1.0 for one in last], 0.75)) < Z


def test_one_request_at_a_time_is_erlangs_loss() -> None:
    """A bucket of one request filled every second and Poisson arrivals of two a second refuse two thirds."""
    limits = RateLimits(requests_per_min=60.0, burst_min=1 / 60)
    rng = Streams(1).generator("arrivals")
    shares = []
    for _ in range(20):
        at_s = np.cumsum(rng.exponential(0.5, 4000))
        shares.append(refused(limits, at_s.tolist(), [1.0] * 4000, [1.0] * 4000).requests_frac)
    assert erlang_b(1, 2.0) == pytest.approx(2 / 3)
    assert abs(z_of(shares, erlang_b(1, 2.0))) < Z
    assert abs(z_of(shares, erlang_b(1, 2.2))) > Z  # the twin: a tenth more load is seen


def test_even_arrivals_above_a_limit() -> None:
    """Twice the rate of a limit: half is refused once the first bucket is used; below it nothing is."""
    at_s = (np.arange(20_000) * 0.5).tolist()
    ones = [1.0] * len(at_s)
    fast = refused(RateLimits(requests_per_min=60.0), at_s, ones, ones)
    assert fast.requests_frac == pytest.approx((20_000 * 0.5 - 60) / 20_000, abs=2e-4)
    assert refused(RateLimits(requests_per_min=121.0), at_s, ones, ones).requests_frac == 0.0
    tokens = refused(RateLimits(output_tokens_per_min=6000.0), at_s, ones, [100.0] * len(at_s))
    assert tokens.by_limit == {"output tokens": tokens.requests_frac}
    assert tokens.output_tokens_frac == pytest.approx(0.5, abs=0.005)


def test_half_a_billion_tokens_a_month_fit_tier_four() -> None:
    """500 M output tokens a month are a seventh of the output limit: none is refused; of ten times as much 30 %."""
    limits = rate_limits("anthropic-tier-4")
    assert limits.output_tokens_per_min is not None
    rate = 5e8 / (365 / 12 * 86_400)
    assert limits.output_tokens_per_min / 60 / rate == pytest.approx(7.0, abs=0.05)
    requests, _, _ = refused_share(
        limits, rate_rps=rate / 500, input_tokens=2000, output_tokens=500, replications=3, seed=1
    )
    assert requests.value == 0.0
    ten, tokens, _ = refused_share(
        limits, rate_rps=10 * rate / 500, input_tokens=2000, output_tokens=500, replications=3, seed=1
    )
    assert tokens.value == pytest.approx(
        1 - 7.0 / 10.0, abs=0.02
    )  # long requests are refused more often than short ones
    assert ten.value is not None
    assert ten.value < tokens.value


def test_proportions_have_intervals_at_the_ends() -> None:
    """None of 30, all of 30, half of ten."""
    assert proportion_interval(0, 30).high == pytest.approx(0.1157, abs=5e-5)
    assert proportion_interval(30, 30).low == pytest.approx(1 - 0.1157, abs=5e-5)
    half = proportion_interval(5, 10)
    assert (half.low, half.high) == (pytest.approx(0.1871, abs=5e-5), pytest.approx(0.8129, abs=5e-5))
    with pytest.raises(ValueError, match="do not fit"):
        proportion_interval(3, 2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: IncidentLaw(2.0, 2.0, 1.0, 1.0), "gap_mean_h"),
        (lambda: IncidentLaw(100.0, 0.3, 0.0, 1.0), "gap_cv"),
        (lambda: IncidentLaw(100.0, 2.0, 0.0, 1.0, 0.7, 0.7), "partial_frac"),
        (lambda: IncidentLaw(100.0, 2.0, 0.0, 1.0, weekend_factor=2.0), "weekend_factor"),
        (lambda: Circumstances(rates="hgh"), "did you mean 'high'"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Circumstances(migration_days=-1.0), "migration_days"),
        (lambda: Circumstances(affected_frac=2.0), "affected_frac"),
        (lambda: provider("openai", Circumstances()), "did you mean 'openai-api'"),
        (lambda: rate_limits("tier-9"), "it has anthropic-tier-4"),
    ],
)
def test_bad_inputs_are_named(build: object, message: str) -> None:
    """Each with its key, or with the names there are."""
    with pytest.raises((ScenarioError, CatalogError), match=message):
        build()  # type: ignore[operator]


def test_rates_of_the_catalog_are_those_of_its_events() -> None:
    """The rate of each class is the Jeffreys mean of its events, but for the one that is a user input."""
    for subject in ("model_pulled", "region_cutoff", "regulator_suspension"):
        assert number(TABLE, subject, "rate_per_year") == pytest.approx(rate_of(subject).mean, abs=0.005)
        row = fact(TABLE, subject, "rate_per_year")
        assert (row.low, row.high) == pytest.approx(rate_of(subject).interval(), abs=0.03)
    drawn = risk("model_pulled", Circumstances(rates="drawn"))
    assert isinstance(drawn.rate, JeffreysRate)
    assert log(number(TABLE, "model_retirement", "life_median_days")) == pytest.approx(
        (log(137) + log(976)) / 2, abs=0.5
    )
