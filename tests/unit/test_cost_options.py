"""Options side by side: ledgers, traceability, and what moves a cost."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.catalog.tables import fact
from sim.cost.fleet import Fleet
from sim.cost.ledger import Ledger, Line
from sim.cost.option import CostOption
from sim.cost.options import OPTIONS, options, priceable
from sim.cost.parameters import BY_GPU, SUBJECTS, CostParameters, parameters
from sim.cost.power import power_model
from sim.cost.price_book import api_price, comparator, providers
from sim.cost.tokens import TokenRates
from sim.errors import CatalogError, IdentityError, ScenarioError

GPU = "h100-sxm-80gb"
FLEET = Fleet(2, 8, 6.0, spare_nodes=1, spare_node_average_kw=3.46)
DELIVERED = TokenRates(1500.0, 4500.0, 40_500.0)
INPUTS = sorted([*BY_GPU, *SUBJECTS])
LOWERS_COST = ("residual_frac", "economic_life_years")


def price(overrides=None, fleet=FLEET, delivered=DELIVERED, gpu=GPU, **more):
    return options(parameters(overrides or {}, gpu), fleet, delivered, **more)


def moved_lines(before: CostOption, after: CostOption) -> set[str]:
    pairs = zip(before.ledger.lines, after.ledger.lines, strict=True)
    return {old.name for old, new in pairs if old.usd_per_year != new.usd_per_year}


def test_options_in_the_order_wanted():
    """Options come as wanted, then the API of the same weights; a model without a price has none."""
    names = [item.option for item in price(wanted=("on_demand", "owned"), model="glm-5.2")]
    assert names == ["on_demand", "owned", "api:z-ai"]
    assert [item.option for item in price(model="mixtral-8x7b")] == list(OPTIONS)


def test_every_option_pays_for_the_spares():
    """A spare node raises every option, and the cost per GPU-hour in service with it."""
    for with_spare, without in zip(price(), price(fleet=Fleet(2, 8, 6.0)), strict=True):
        assert with_spare.usd_per_year > without.usd_per_year
        assert with_spare.usd_per_gpu_hour > without.usd_per_gpu_hour


def test_rent_of_a_spare_is_rent():
    """A rented spare costs its GPUs at the rate with the cloud adder, and nothing else."""
    with_spare, without = (price(fleet=Fleet(2, 8, 6.0, spare_nodes=n), wanted=("on_demand",))[0] for n in (1, 0))
    assert with_spare.usd_per_year - without.usd_per_year == pytest.approx(8 * 8760 * 2.95 * 1.10, rel=1e-9)


@pytest.mark.parametrize("name", INPUTS)
def test_lines_name_exactly_the_inputs_that_move_them(name):
    """Raising one input moves those lines that list it and no others, up except for resale value and life."""
    raised = dict.fromkeys(["gpu_software_usd_per_year", "tax_frac"], 0.05)
    before = price(raised)
    old = getattr(parameters(raised, GPU), name).value
    after = price(raised | {name: 1.25 * old})
    moved_any = False
    for low, high in zip(before, after, strict=True):
        key = f"pricing.{name}"
        listed = {line.name for line in high.ledger.lines if key in {item.key for item in line.inputs}}
        assert moved_lines(low, high) == listed
        assert (key in {item.key for item in high.inputs}) == bool(listed)
        moved_any |= bool(listed)
        if listed:
            sign = -1 if name in LOWERS_COST else 1
            assert sign * (high.usd_per_year - low.usd_per_year) > 0
    assert moved_any


@given(name=st.sampled_from(INPUTS), value=st.floats(0.01, 5.0), factor=st.floats(1.001, 3.0))
def test_costs_never_fall_when_a_price_rises(name, value, factor):
    """Whatever its level, a higher price makes no option cheaper; resale value and life work the other way."""
    for low, high in zip(price({name: value}), price({name: value * factor}), strict=True):
        difference = high.usd_per_year - low.usd_per_year
        slack = 1e-9 * abs(low.usd_per_year)
        assert difference <= slack if name in LOWERS_COST else difference >= -slack


@given(
    output=st.floats(1e-3, 1e6),
    uncached=st.floats(0, 1e6),
    cached=st.floats(0, 1e6),
    nodes=st.integers(1, 40),
    spares=st.integers(0, 5),
)
def test_cost_times_tokens_is_the_ledger(output, uncached, cached, nodes, spares):
    """Cost per token times tokens is the yearly cost, which is the sum of the lines, whatever is delivered."""
    delivered = TokenRates(output, uncached, cached)
    for item in price(delivered=delivered, fleet=Fleet(nodes, 8, 6.0, spares, 3.46), model="glm-5.2"):
        seconds_per_mtok = 8760 * 3600 / 1e6
        assert item.usd_per_mtok_output * output * seconds_per_mtok == pytest.approx(item.usd_per_year, rel=1e-9)
        assert item.usd_per_mtok_total * delivered.total_per_s * seconds_per_mtok == pytest.approx(item.usd_per_year)
        assert sum(line.usd_per_year for line in item.ledger.lines) == pytest.approx(item.usd_per_year, rel=1e-12)
        assert sum(item.ledger.usd_per_year_by_category.values()) == pytest.approx(item.usd_per_year, rel=1e-12)


@given(factor=st.floats(1e-3, 1e3))
def test_twice_the_tokens_cost_half_each(factor):
    """At fixed power, cost per token falls as one over the tokens delivered; an API's does not change."""
    once = price(model="glm-5.2")
    more = TokenRates(*(factor * rate for rate in dataclasses.astuple(DELIVERED)))
    for before, after in zip(once, price(delivered=more, model="glm-5.2"), strict=True):
        expected = 1.0 if before.option.startswith("api:") else 1 / factor
        assert after.usd_per_mtok_output / before.usd_per_mtok_output == pytest.approx(expected, rel=1e-9)


@given(spares=st.integers(0, 50))
def test_spares_cost_linearly(spares):
    """The k-th spare node costs what the first one costs."""
    costs = [[item.usd_per_year for item in price(fleet=Fleet(2, 8, 6.0, count, 3.46))] for count in (0, 1, spares)]
    for none, one, many in zip(*costs, strict=True):
        assert many - none == pytest.approx(spares * (one - none), rel=1e-9, abs=1e-6)


def test_no_tokens_no_cost_per_token():
    """When nothing is delivered a cost per token does not exist: None with a reason, and the ledger stands."""
    for item in price(delivered=TokenRates(0.0), model="glm-5.2"):
        assert item.usd_per_mtok_output is None
        assert item.usd_per_mtok_total is None
        assert "no tokens were delivered" in item.reason
    prompt_only = price(delivered=TokenRates(0.0, 10.0))[0]
    assert prompt_only.usd_per_mtok_output is None
    assert prompt_only.usd_per_mtok_total > 0
    assert prompt_only.reason


def test_api_of_the_same_volume_is_its_effective_price():
    """The API's cost per million output is its price at the delivered ratio and hit rate."""
    api = price(model="glm-5.2", api_provider="deepinfra")[-1]
    expected = api_price("glm-5.2", "deepinfra").effective_usd_per_mtok_output(30, 0.9)
    assert api.option == "api:deepinfra"
    assert api.usd_per_mtok_output == pytest.approx(expected, rel=1e-12)
    assert api.usd_per_gpu_hour is None
    assert not api.assumed


def test_cache_writes_are_billed_where_charged():
    """A provider that charges cache writes bills all computed input so once there are hits, and none without."""
    opus = api_price("claude-opus-5.5")
    hits = opus.billed(uncached_input=3, cached_input=27, output=1)
    assert (hits.uncached_input, hits.cached_input, hits.cache_write) == (0, 27, 3)
    cold = opus.billed(uncached_input=30, cached_input=0, output=1)
    assert (cold.uncached_input, cold.cache_write) == (30, 0)
    scaleway = api_price("glm-5.2", "scaleway").billed(uncached_input=3, cached_input=27, output=1)
    assert (scaleway.uncached_input, scaleway.cached_input) == (30, 0)


@given(ratio=st.floats(0.1, 300), hit=st.floats(0.01, 0.98), more=st.floats(0.001, 0.02))
def test_effective_api_price_rises_with_input_and_falls_with_hits(ratio, hit, more):
    """More input per output costs more; more of it cached costs less."""
    for model in ("glm-5.2", "claude-opus-5.5", "deepseek-v4-pro"):
        item = api_price(model)
        assert item.effective_usd_per_mtok_output(ratio * 1.01, hit) > item.effective_usd_per_mtok_output(ratio, hit)
        assert item.effective_usd_per_mtok_output(ratio, hit + more) < item.effective_usd_per_mtok_output(ratio, hit)


def test_tiers_scale_every_price():
    """A batch tier of one half halves the bill of any traffic."""
    full, half = api_price("claude-opus-5.5"), api_price("claude-opus-5.5").times(0.5)
    expected = full.effective_usd_per_mtok_output(30, 0.9) / 2
    assert half.effective_usd_per_mtok_output(30, 0.9) == pytest.approx(expected, rel=1e-12)


def test_comparators_have_three_classes():
    """The same weights elsewhere, an open substitute, a closed model; what was not looked into says so."""
    assert comparator(api_price("glm-5.2", "deepinfra"), "glm-5.2") == "same weights"
    assert comparator(api_price("deepseek-v4-pro"), "glm-5.2") == "open substitute"
    assert comparator(api_price("claude-opus-5.5"), "glm-5.2") == "closed"
    assert comparator(api_price("kimi-k3.1-pro"), "glm-5.2") == "unverified substitute"
    assert providers("glm-5.2")[0] == "z-ai"


def test_assumed_inputs_are_listed():
    """Each option lists the assumed rows that it used; a price that the user gave is no longer assumed."""
    owned, reserved = price(wanted=("owned", "reserved_3y"))
    assert "prices.operations.transit_usd_per_year" in owned.assumed
    assert f"prices.{GPU}.gpu_reserved_3y_usd_per_h" in reserved.assumed
    assert f"prices.{GPU}.gpu_reserved_3y_usd_per_h" not in owned.assumed
    assert all(item.fact.status == "assumed" for item in owned.inputs if item.key in owned.assumed)
    mine = price({"transit_usd_per_year": 20_000, "gpu_reserved_3y_usd_per_h": 1.9}, wanted=("reserved_3y",))[0]
    assert mine.assumed == ()
    assert {item.key for item in mine.inputs if item.fact is None} == {
        "pricing.transit_usd_per_year",
        "pricing.gpu_reserved_3y_usd_per_h",
    }


def test_lines_say_whether_they_are_assumed():
    """Staff rests on published figures, transit is assumed, and power from assumed rows marks the energy line."""
    plain = price(wanted=("owned",))[0].ledger
    assert (plain.line("staff").assumed, plain.line("transit").assumed) == (False, True)
    assert not plain.line("energy").assumed
    fleet = dataclasses.replace(FLEET, power_inputs=power_model("h100-sxm-80gb", "hgx-h100-8").inputs)
    assert price(fleet=fleet, wanted=("owned",))[0].ledger.line("energy").assumed


@pytest.mark.parametrize("gpu", ["a100-sxm-80gb", "h800-sxm-80gb"])
def test_gpus_without_prices_fail_only_where_a_price_is_needed(gpu):
    """A GPU without a price names the missing one and the GPUs that have it; with the price given it works."""
    assert priceable(parameters({}, gpu)) == ()
    with pytest.raises(CatalogError, match=f"no gpu_on_demand_usd_per_h for '{gpu}'; give pricing.gpu_on_demand.*h100"):
        price(gpu=gpu, wanted=("on_demand",))
    given_rate = {"gpu_on_demand_usd_per_h": 1.2}
    assert priceable(parameters(given_rate, gpu)) == ("on_demand",)
    assert price(given_rate, gpu=gpu, wanted=("on_demand",))[0].usd_per_year > 0
    with pytest.raises(CatalogError, match="no node_price_usd"):
        price(given_rate, gpu=gpu, wanted=("owned",))


@pytest.mark.parametrize("gpu", ["h100-sxm-80gb", "h200-sxm-141gb", "b200-sxm-180gb"])
def test_gpus_with_prices_can_be_had_in_every_way(gpu):
    """H100, H200 and B200 are priced in all four ways, longer commitments cheaper."""
    assert priceable(parameters({}, gpu)) == OPTIONS
    _, one_year, three_years, on_demand = (item.usd_per_year for item in price(gpu=gpu))
    assert three_years < one_year < on_demand


def test_unknown_keys_and_values_are_refused():
    """A key that no price has is named with the nearest; a value that is no finite number is refused."""
    with pytest.raises(ScenarioError, match=r"pricing\.node_price.*did you mean 'node_price_usd'"):
        parameters({"node_price": 1}, GPU)
    for value in (-1.0, float("nan"), float("inf"), "3", True):
        with pytest.raises(ScenarioError, match=r"pricing\.pue: out of range"):
            parameters({"pue": value}, GPU)


def test_power_rating_follows_the_node():
    """The colocated power is the rating of the node type, the usual one of the GPU when none is named."""
    usual = parameters({}, "b200-sxm-180gb").node_provisioned_kw
    assert usual.key == "nodes.hgx-b200-8.provisioned_kw"
    assert (
        parameters({}, GPU, "hgx-a100-8").node_provisioned_kw.value
        == fact("nodes", "hgx-a100-8", "provisioned_kw").value
    )


def test_a_cost_that_is_not_its_ledger_is_a_defect():
    """An option whose cost differs from the sum of its lines cannot be made."""
    ledger = Ledger((Line("rent", "rental", 100.0, ()),))
    with pytest.raises(IdentityError, match="not the sum of the ledger"):
        CostOption("on_demand", ledger, 101.0, 1.0, 1.0, 1.0, ())


@pytest.mark.parametrize(
    "fields",
    [
        {"nodes": 0},
        {"nodes": 1.5},
        {"spare_nodes": -1},
        {"gpus_per_node": 0},
        {"node_average_kw": float("nan")},
        {"spare_node_average_kw": -1.0},
    ],
)
def test_absurd_fleets_are_refused(fields):
    """Nodes are whole, at least one is in service, and power is finite and not negative."""
    with pytest.raises(ScenarioError, match=next(iter(fields))):
        Fleet(**({"nodes": 2, "gpus_per_node": 8, "node_average_kw": 6.0} | fields))


def test_parameters_are_all_named():
    """Every field of the parameters is looked up in one place."""
    fields = {item.name for item in dataclasses.fields(CostParameters)}
    assert fields == {"gpu", *BY_GPU, *SUBJECTS}
