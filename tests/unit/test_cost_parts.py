"""The small parts of the cost side: annuities, power, utilisations, capacity, conversions, the scenario section."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sim.catalog.tables import table
from sim.cost.annuity import capital_recovery_factor, sinking_fund_factor
from sim.cost.api_price import TokenCounts
from sim.cost.capacity import Capacity
from sim.cost.inputs import catalog_input
from sim.cost.marginal import energy_marginal_cost
from sim.cost.options import OPTIONS
from sim.cost.parameters import BY_GPU, NOT_PRICES, SUBJECTS, parameters
from sim.cost.peak_hours import week_share
from sim.cost.power import PowerModel, TimeShares, power_model
from sim.cost.price_book import api_price
from sim.cost.tokens import TokenRates, effective_usd_per_mtok, mtok_per_month, mtok_per_year, usd_per_month
from sim.cost.utilisation import Utilisations, average_utilisation
from sim.errors import ScenarioError
from sim.scenario.pricing import Pricing

GPU = "h100-sxm-80gb"


@given(rate=st.floats(0, 1), years=st.integers(1, 30))
def test_annuities_pay_back_what_was_borrowed(rate, years):
    """Payments discounted to today are the dollar borrowed; the sinking fund grows to one dollar."""
    factor, fund = capital_recovery_factor(rate, years), sinking_fund_factor(rate, years)
    assert sum(factor / (1 + rate) ** year for year in range(1, years + 1)) == pytest.approx(1.0, rel=1e-9)
    assert sum(fund * (1 + rate) ** year for year in range(years)) == pytest.approx(1.0, rel=1e-6)
    assert capital_recovery_factor(1e-14, years) == pytest.approx(1 / years, rel=1e-9)


@pytest.mark.parametrize(("rate", "years"), [(-0.1, 4), (float("nan"), 4), (0.1, 0), (0.1, -1), (0.1, float("inf"))])
def test_annuities_refuse_absurd_terms(rate, years):
    """Negative interest and lives that are not positive and finite are refused."""
    with pytest.raises(ScenarioError, match=r"discount_rate_frac|life_years"):
        capital_recovery_factor(rate, years)


def test_node_power_is_the_time_weighted_mean():
    """Half idle and half decoding is the mean of 3.46 and 6.10 kW; a node that is down draws nothing."""
    power = power_model("h100-sxm-80gb", "hgx-h100-8")
    assert power.average_node_kw(TimeShares(0.5, 0.5, 0.0)) == pytest.approx(4.78)
    assert power.average_node_kw(TimeShares(0.0, 0.0, 0.0, 1.0)) == 0.0
    assert power.idle_node_kw == pytest.approx(3.46)


@given(idle=st.floats(0, 1), part=st.floats(0, 1))
def test_node_power_stays_between_idle_and_saturated(idle, part):
    """Whatever a node that is up does, it draws between its idle and its saturated power."""
    power = power_model("h100-sxm-80gb", "hgx-h100-8")
    kw = power.average_node_kw(TimeShares(idle, (1 - idle) * part, (1 - idle) * (1 - part)))
    assert power.idle_node_kw - 1e-9 <= kw <= power.node_kw(power.gpu_max_kw) + 1e-9


def test_power_refuses_what_cannot_be():
    """Shares that do not add up, a GPU that decodes on less than it idles on, and a node without GPUs are refused."""
    for shares in ((0.5, 0.6, 0.0), (-0.1, 1.1, 0.0), (0.2, 0.2, 0.2)):
        with pytest.raises(ScenarioError, match="do not add up"):
            TimeShares(*shares)
    with pytest.raises(ScenarioError, match="out of order"):
        PowerModel(8, 2.5, 0.5, 0.4, 0.7)
    with pytest.raises(ScenarioError, match="gpus_per_node"):
        PowerModel(0, 2.5, 0.1, 0.4, 0.7)
    with pytest.raises(ScenarioError, match="node_base_kw"):
        PowerModel(8, float("nan"), 0.1, 0.4, 0.7)


def test_marginal_cost_is_energy_above_idle():
    """5.28 kW above idle at PUE 1.4 and 9 cents over 4,350 tokens per second is 4.2 cents per million tokens."""
    terms = parameters({}, GPU)
    cost = energy_marginal_cost(terms, busy_kw=12.2, idle_kw=6.92, output_tokens_per_s=4350)
    assert cost.usd_per_mtok_output == pytest.approx(5.28 * 1.4 * 0.09 / 15.66, rel=1e-12)
    assert cost.basis.startswith("marginal")
    for busy, idle, tokens in ((1.0, 2.0, 10.0), (2.0, 1.0, 0.0), (2.0, 1.0, float("nan"))):
        with pytest.raises(ScenarioError):
            energy_marginal_cost(terms, busy_kw=busy, idle_kw=idle, output_tokens_per_s=tokens)


def test_unknown_utilisations_need_a_reason():
    """A utilisation that is not known says why; a reason for a known one, or none for an unknown one, is refused."""
    seen = Utilisations(None, 0.6, 0.4, 2 / 3, {"sm_active_frac": "not modelled"})
    assert seen.reasons["sm_active_frac"] == "not modelled"
    with pytest.raises(ScenarioError, match="sm_active_frac: each utilisation that is not known needs a reason"):
        Utilisations(None, 0.6, 0.4, 1.0)
    with pytest.raises(ScenarioError, match="delivered_frac"):
        Utilisations(0.3, 0.6, 0.4, 1.0, {"delivered_frac": "why"})
    with pytest.raises(ScenarioError, match="occupied_time_frac"):
        Utilisations(0.3, 1.2, 0.4, 1.0)
    for peak, ratio in ((0.0, 2.0), (1.1, 2.0), (0.8, 0.5), (0.8, float("nan"))):
        with pytest.raises(ScenarioError, match="peak"):
            average_utilisation(peak, ratio)


def test_throughput_without_a_service_level_is_no_capacity():
    """A capacity names its service level and its mix, and is a positive number."""
    assert Capacity(4350, "TPOT 25 ms", "1:1").delivered_frac(1740) == pytest.approx(0.4)
    for rate, level, mix in ((4350, " ", "1:1"), (4350, "TPOT 25 ms", ""), (0, "x", "y"), (float("inf"), "x", "y")):
        with pytest.raises(ScenarioError):
            Capacity(rate, level, mix)


@given(rate=st.floats(0, 1e9))
def test_a_year_is_twelve_months(rate):
    """12 months of 730 hours are a year of 8,760, for tokens and for money."""
    assert mtok_per_month(rate) * 12 == pytest.approx(mtok_per_year(rate), rel=1e-12)
    assert usd_per_month(rate) * 12 == pytest.approx(rate, rel=1e-12)


def test_token_counts_and_rates_are_finite_and_not_negative():
    """Negative, infinite and undefined counts are refused; nothing delivered has no cost per token."""
    for value in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ScenarioError, match="cached_input"):
            TokenRates(1.0, 1.0, value)
        with pytest.raises(ScenarioError, match="cache_write"):
            TokenCounts(1.0, 1.0, value, 1.0)
    assert effective_usd_per_mtok(1000.0, 0.0) is None
    for ratio, hit in ((-1.0, 0.5), (1.0, 1.5), (1.0, float("nan"))):
        with pytest.raises(ScenarioError, match=r"input_output_ratio|cache_hit_frac"):
            api_price("glm-5.2").effective_usd_per_mtok_output(ratio, hit)


def test_peak_hours_of_a_week():
    """Seven hours on five days are 35 of 168."""
    assert week_share("1-4 6-10", "0-5") == pytest.approx(35 / 168)


def test_price_rows_carry_their_provenance():
    """Every price has unit, source and date, and lies within its range."""
    for subject, facts in table("prices").items():
        for parameter, row in facts.items():
            name = f"{subject}.{parameter}"
            assert row.unit, name
            assert row.source, name
            assert row.date.startswith("20"), name
            if isinstance(row.value, float):
                assert row.low is None or row.low <= row.value, name
                assert row.high is None or row.value <= row.high, name


def test_catalog_inputs_are_traceable():
    """An input of the catalog names its row and carries the fact."""
    item = catalog_input("facility", "pue")
    assert (item.key, item.value, item.assumed) == ("prices.facility.pue", 1.4, False)
    assert "Uptime" in item.fact.source


def test_the_scenario_section_and_the_cost_side_name_the_same_prices():
    """Every key of the pricing section is an input of the cost side or chooses what is priced, and the other way."""
    assert set(Pricing.model_fields) == {*BY_GPU, *SUBJECTS, *NOT_PRICES}
    assert Pricing().options == OPTIONS
    terms = parameters(Pricing(pue=1.2).model_dump(), GPU)
    assert (terms.pue.value, terms.pue.key) == (1.2, "pricing.pue")
    assert terms.pue.unit == catalog_input("facility", "pue").unit


@pytest.mark.parametrize("name", [*BY_GPU, *SUBJECTS])
def test_absurd_prices_are_refused(name):
    """NaN, infinities, negatives, absurdly large numbers, words and booleans are no prices."""
    for value in (float("nan"), float("inf"), -0.01, 1e12, "1.0", True):
        with pytest.raises(ValidationError, match=name):
            Pricing(**{name: value})


@pytest.mark.parametrize("name", [*BY_GPU, *SUBJECTS])
def test_catalog_values_are_valid_in_a_scenario(name):
    """What the catalog says, and the ends of its range, may be written into a scenario."""
    fact = getattr(parameters({}, GPU), name).fact
    for value in (fact.value, fact.low, fact.high):
        assert getattr(Pricing(**{name: value}), name) == value


@pytest.mark.parametrize(
    "wrong", [{"options": []}, {"options": ["owned", "owned"]}, {"options": ["lease"]}, {"PUE": 1.2}]
)
def test_absurd_choices_are_refused(wrong):
    """No option, an option twice, an unknown option and an unknown key are refused."""
    with pytest.raises(ValidationError):
        Pricing(**wrong)
