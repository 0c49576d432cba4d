"""Published golden numbers of ownership, rent and effective cost per token."""

from __future__ import annotations

import pytest

from sim.catalog.tables import fact, number
from sim.cost.annuity import capital_recovery_factor, sinking_fund_factor
from sim.cost.fleet import Fleet
from sim.cost.owned import capex_usd, owned_ledger
from sim.cost.parameters import parameters
from sim.cost.power import power_model
from sim.cost.rented import rented_ledger
from sim.cost.tokens import effective_usd_per_mtok, usd_per_gpu_hour, usd_per_month
from sim.cost.utilisation import average_utilisation
from sim.units import YEAR_H

GPU = "h100-sxm-80gb"
BASE = parameters({}, GPU)
AVERAGE_KW = number("prices", GPU, "node_average_kw")
CAPACITY = "capacity_16xh100_output_tokens_per_s"


def fleet(nodes: int = 2, kw: float = AVERAGE_KW) -> Fleet:
    return Fleet(nodes, 8, kw)


def rented(rate_usd_per_h: float, nodes: int = 2, **overrides: float):
    terms = {"gpu_reserved_1y_usd_per_h": rate_usd_per_h, "cloud_adder_frac": 0.0} | overrides
    return rented_ledger(parameters(terms, GPU), fleet(nodes), "reserved_1y")


def owned_per_mtok(utilisation_frac: float, kw: float = AVERAGE_KW, **overrides: float):
    """Owned cost of mix A."""
    ledger = owned_ledger(parameters(overrides, GPU), fleet(kw=kw))
    return effective_usd_per_mtok(ledger.usd_per_year, number("prices", "mix_a", CAPACITY) * utilisation_frac)


@pytest.mark.parametrize(
    ("rate", "years", "factor"),
    [(0.10, 4, 0.3154708), (0.10, 3, 0.4021148), (0.08, 5, 0.2504565), (0.12, 6, 0.2432257), (0, 4, 0.25)],
)
def test_capital_recovery_factors(rate, years, factor):
    """The annuity of one dollar has the tabulated values, to the seven digits given."""
    assert capital_recovery_factor(rate, years) == pytest.approx(factor, abs=5e-8)


def test_sinking_fund_factor():
    """At 10 % over 4 years a dollar at the end needs 0.2154708 a year; without interest a quarter."""
    assert sinking_fund_factor(0.10, 4) == pytest.approx(0.2154708, abs=5e-8)
    assert sinking_fund_factor(0.0, 4) == 0.25


def test_investment_and_its_annuity():
    """Two nodes cost 693,000 to set up and 199,228.89 a year net of resale value."""
    assert capex_usd(BASE, 2) == pytest.approx(693_000, rel=1e-12)
    capital = owned_ledger(BASE, fleet()).usd_per_year_by_category["capital"]
    assert capital == pytest.approx(199_228.89, abs=0.005)


@pytest.mark.parametrize(
    ("line", "usd"),
    [
        ("energy", 13_245.12),
        ("colocation", 47_736),
        ("support", 33_000),
        ("insurance", 3_300),
        ("software", 0),
        ("transit", 18_000),
        ("staff", 250_000),
    ],
)
def test_yearly_lines_of_ownership(line, usd):
    """Each line of the ownership ledger has its golden amount."""
    assert owned_ledger(BASE, fleet()).line(line).usd_per_year == pytest.approx(usd, rel=1e-9)


def test_ownership_of_two_nodes():
    """Two owned nodes cost 564,510.01 a year, 47,042.50 a month, 4.0276 per GPU-hour and 2.2439 without staff."""
    ledger = owned_ledger(BASE, fleet())
    assert ledger.usd_per_year == pytest.approx(564_510.01, abs=0.005)
    assert usd_per_month(ledger.usd_per_year) == pytest.approx(47_042.50, abs=0.005)
    assert usd_per_gpu_hour(ledger.usd_per_year, 16) == pytest.approx(4.0276, abs=5e-5)
    assert usd_per_gpu_hour(ledger.usd_per_year_without_staff, 16) == pytest.approx(2.2439, abs=5e-5)


def test_ownership_of_three_nodes():
    """A third node raises it to 1,039,500 of investment, 712,765.02 a year and 59,397.09 a month."""
    ledger = owned_ledger(BASE, fleet(3))
    assert capex_usd(BASE, 3) == pytest.approx(1_039_500, rel=1e-12)
    assert ledger.usd_per_year == pytest.approx(712_765.02, abs=0.005)
    assert usd_per_month(ledger.usd_per_year) == pytest.approx(59_397.09, abs=0.005)
    assert usd_per_gpu_hour(ledger.usd_per_year, 24) == pytest.approx(3.39, abs=0.005)
    assert usd_per_gpu_hour(ledger.usd_per_year, 16) == pytest.approx(5.09, abs=0.005)


def test_spare_at_the_same_power_is_a_third_node():
    """Two nodes in service and one spare at the same power cost what three nodes cost."""
    spare = Fleet(2, 8, AVERAGE_KW, spare_nodes=1, spare_node_average_kw=AVERAGE_KW)
    assert owned_ledger(BASE, spare).usd_per_year == pytest.approx(712_765.02, abs=0.005)


def test_reserved_rent():
    """16 GPUs at 2.50 with staff and transit cost 618,400 a year, 51,533.33 a month, 4.4121 per GPU-hour."""
    usd = rented(2.50).usd_per_year
    assert usd == pytest.approx(618_400, rel=1e-12)
    assert usd_per_month(usd) == pytest.approx(51_533.33, abs=0.005)
    assert usd_per_gpu_hour(usd, 16) == pytest.approx(4.4121, abs=5e-5)


@pytest.mark.parametrize(
    ("rate", "usd_month", "usd_gpu_h", "overrides"),
    [
        (2.50, 29_200, 2.50, {"staff_fte": 0, "transit_usd_per_year": 0}),
        (3.99, 68_937, 5.90, {}),
        (6.88, 102_692, 8.79, {}),
        (1.30, 15_184, 1.30, {"staff_fte": 0, "transit_usd_per_year": 0}),
    ],
)
def test_rents_of_the_market(rate, usd_month, usd_gpu_h, overrides):
    """The published rents give the published monthly and hourly costs."""
    usd = rented(rate, **overrides).usd_per_year
    assert usd_per_month(usd) == pytest.approx(usd_month, abs=0.5)
    assert usd_per_gpu_hour(usd, 16) == pytest.approx(usd_gpu_h, abs=0.005)


@pytest.mark.parametrize(("utilisation", "usd"), [(0.4, 10.2876), (0.8, 5.1438), (1.0, 4.1151)])
def test_owned_cost_per_million_output_tokens(utilisation, usd):
    """Output-heavy traffic on 16 owned H100 costs 10.2876 at 40 % of 4,350 tokens per second, and in proportion."""
    assert owned_per_mtok(utilisation) == pytest.approx(usd, abs=5e-5)


@pytest.mark.parametrize(
    ("mix", "owned", "rent"),
    [
        ("mix_a", (21.01, 10.29, 5.03), (23.02, 11.27, 5.51)),
        ("mix_b", (111.9, 51.4, 35.8), (122.6, 56.4, 39.2)),
        ("mix_c", (89.5, 29.8, 16.6), (98.1, 32.7, 18.2)),
        ("mix_d", (298, 128, 62), (327, 140, 68)),
    ],
)
def test_cost_table_of_four_mixes(mix, owned, rent):
    """At 40 % utilisation the four mixes cost what the published table says, at low, base and high capacity."""
    row = fact("prices", mix, CAPACITY)
    for capacity, own_usd, rent_usd in zip((row.low, row.value, row.high), owned, rent, strict=True):
        own_cost = effective_usd_per_mtok(owned_ledger(BASE, fleet()).usd_per_year, capacity * 0.4)
        rent_cost = effective_usd_per_mtok(rented(2.50).usd_per_year, capacity * 0.4)
        assert own_cost == pytest.approx(own_usd, rel=0.005)
        assert rent_cost == pytest.approx(rent_usd, rel=0.005)


@pytest.mark.parametrize(
    ("name", "low", "high", "usd_low", "usd_high"),
    [
        ("staff_fte", 0.5, 2.5, 8.01, 17.12),
        ("fte_cost_usd_per_year", 150e3, 300e3, 8.47, 11.20),
        ("node_price_usd", 180e3, 375e3, 8.74, 11.26),
        ("economic_life_years", 3, 6, 11.24, 9.34),
        ("support_frac", 0.03, 0.12, 10.05, 11.13),
        ("colo_usd_per_kw_month", 120, 300, 9.95, 10.76),
        ("node_network_usd", 6.5e3, 60e3, 10.10, 10.85),
        ("discount_rate_frac", 0.06, 0.14, 9.93, 10.66),
        ("residual_frac", 0.05, 0.30, 10.52, 9.93),
        ("electricity_usd_per_kwh", 0.06, 0.20, 10.21, 10.58),
        ("pue", 1.15, 1.54, 10.24, 10.31),
    ],
)
def test_tornado_of_the_owned_base_case(name, low, high, usd_low, usd_high):
    """Moving one input at a time to its ends moves the cost to the published ends, to the cent."""
    assert owned_per_mtok(0.4, **{name: low}) == pytest.approx(usd_low, abs=0.0051)
    assert owned_per_mtok(0.4, **{name: high}) == pytest.approx(usd_high, abs=0.0051)


def test_tornado_of_power_and_utilisation():
    """Power of 4.5 to 8.4 kW moves the cost from 10.23 to 10.38; utilisation of 20 % and 80 % to 20.58 and 5.14."""
    assert owned_per_mtok(0.4, kw=4.5) == pytest.approx(10.23, abs=0.0051)
    assert owned_per_mtok(0.4, kw=8.4) == pytest.approx(10.38, abs=0.0051)
    assert owned_per_mtok(0.2) == pytest.approx(20.58, abs=0.0051)
    assert owned_per_mtok(0.8) == pytest.approx(5.14, abs=0.0051)


def test_published_fleets():
    """DeepSeek costs 0.518286 per million, LMSYS 0.199302 (0.265737 with prefill nodes), InferenceX 1.356031."""
    assert effective_usd_per_mtok(87_072 * 365, 168e9 / 86_400) == pytest.approx(0.518286, rel=1e-6)
    assert effective_usd_per_mtok(16 * YEAR_H, 22.3e3) == pytest.approx(0.199302, abs=5e-7)
    assert effective_usd_per_mtok(16 * 12 * YEAR_H, 9 * 22.3e3) == pytest.approx(0.265737, abs=5e-7)
    assert effective_usd_per_mtok(1.30 * YEAR_H, 266.3) == pytest.approx(1.356031, rel=1e-6)


@pytest.mark.parametrize(("gpu_w", "kw"), [(75, 3.10), (120, 3.46), (300, 4.90), (450, 6.10), (600, 7.30), (700, 8.10)])
def test_power_of_a_node(gpu_w, kw):
    """A node of 8 GPUs draws 2.5 kW and its GPUs."""
    assert power_model("h100-sxm-80gb", "hgx-h100-8").node_kw(gpu_w / 1000) == pytest.approx(kw, rel=1e-12)


@pytest.mark.parametrize(("peak_to_mean", "mean"), [(1, 0.80), (1.5, 0.5333333), (2, 0.40), (3, 0.2666667)])
def test_average_utilisation_of_a_peaky_load(peak_to_mean, mean):
    """Sizing to 80 % at the peak leaves 40 % on average when the peak is twice the mean."""
    assert average_utilisation(0.8, peak_to_mean) == pytest.approx(mean, rel=1e-6)
