"""Cost of a simulated fleet: ledger over delivered tokens, intervals, spares, power."""

from __future__ import annotations

import pytest

import sim
from sim.cost.power import power_model
from sim.errors import ScenarioError
from sim.study.money import check_prices
from sim.study.result import Result
from sim.units import YEAR_H
from tests.study_cases import POISSON, QUICK_RESTART, VARIED, simulated, tiny

OPTIONS = ("owned", "reserved_1y", "reserved_3y", "on_demand")
GLM = {
    "model": {"name": "glm-5.2", "weights": "fp8_block"},
    "deployment.layout": {"tensor_parallel_size": 8, "pipeline_parallel_size": 2},
    "deployment.engine.kv_cache_dtype": "fp8",
    "workload.arrivals.rate_rps": 1.0,
}


@pytest.fixture(scope="module")
def priced() -> Result:
    """A Poisson load with intervals."""
    return simulated(VARIED)


def test_cost_per_million_times_tokens_is_the_ledger(priced: Result) -> None:
    """For each option, dollars per Mtok times the tokens of a year at the measured rate is the sum of its lines."""
    per_year = 3600.0 * YEAR_H / 1e6
    output_mtok = priced.value("good_output_tokens_per_s") * per_year
    total_mtok = priced.value("total_throughput_tokens_per_s") * per_year
    for option in OPTIONS:
        ledger = sum(line.usd_per_year for line in priced.ledger if line.option == option)
        assert ledger > 1e5
        assert priced.value("cost_usd_per_year", option) == pytest.approx(ledger, rel=1e-12)
        assert priced.value("cost_usd_per_mtok_output", option) * output_mtok == pytest.approx(ledger, rel=1e-9)
        assert priced.value("cost_usd_per_mtok_total", option) * total_mtok == pytest.approx(ledger, rel=1e-6)
        assert priced.value("cost_usd_per_gpu_hour", option) == pytest.approx(ledger / (8 * YEAR_H), rel=1e-12)


def test_the_interval_of_a_cost_is_that_of_the_tokens(priced: Result) -> None:
    """A cost per token is dear at the low end of the delivered tokens and cheap at their high end."""
    tokens = priced.metric("good_output_tokens_per_s")
    cost = priced.metric("cost_usd_per_mtok_output", "on_demand")
    assert tokens.value is not None
    assert tokens.low is not None
    assert tokens.high is not None
    assert cost.value is not None
    assert cost.high == pytest.approx(cost.value * tokens.value / tokens.low)
    assert cost.low == pytest.approx(cost.value * tokens.value / tokens.high)
    assert cost.low is not None
    assert cost.high is not None
    assert cost.low < cost.value < cost.high


def test_half_the_good_tokens_cost_twice_as_much() -> None:
    """A rented fleet costs the same whatever it does, so halving the load doubles the cost per token."""
    full, half = simulated(), simulated({"workload.arrivals.rate_rps": 1.0})
    for option in OPTIONS[1:]:
        assert half.value("cost_usd_per_year", option) == full.value("cost_usd_per_year", option)
        for metric in ("cost_usd_per_mtok_output", "cost_usd_per_mtok_total"):
            assert half.value(metric, option) == pytest.approx(2.0 * full.value(metric, option), rel=1e-9)


def test_only_tokens_within_the_service_level_count() -> None:
    """A TTFT limit that about half the requests of a load miss about doubles the cost per token."""
    free = simulated(VARIED)
    strict = simulated(VARIED | {"slo.ttft_ms": 1e3 * free.value("ttft_p50_s")})
    share = strict.value("good_output_tokens_per_s") / free.value("good_output_tokens_per_s")
    assert 0.3 < share < 0.7
    ratio = strict.value("cost_usd_per_mtok_output", "on_demand") / free.value("cost_usd_per_mtok_output", "on_demand")
    assert ratio == pytest.approx(1.0 / share, rel=1e-9)


def test_nothing_good_has_no_cost_per_token_and_says_why() -> None:
    """No number stands where nothing was delivered; the money is still spent."""
    found = simulated({"slo.ttft_ms": 1.0})
    metric = found.metric("cost_usd_per_mtok_output", "owned")
    assert metric.value is None
    assert "no tokens were delivered" in metric.note
    assert found.value("cost_usd_per_year", "owned") > 1e5


def test_a_spare_node_costs_as_much_rent_as_a_node_in_service() -> None:
    """One node and one spare are rented at twice the GPU rent of one node, and appear in every option."""
    alone, spared = simulated(), simulated({"deployment.spare_nodes": 1})
    for option in OPTIONS:
        assert spared.value("cost_usd_per_year", option) > 1.3 * alone.value("cost_usd_per_year", option)
        assert spared.value("cost_usd_per_gpu_hour", option) > 1.3 * alone.value("cost_usd_per_gpu_hour", option)
    assert spared.value("utilisation_reserved_frac") == 0.5
    assert alone.value("utilisation_reserved_frac") == 1.0


def test_part_of_a_node_pays_for_all_of_it() -> None:
    """Two replicas of four GPUs take two nodes, and the run says that half of each is unused."""
    found = simulated({"deployment.layout.tensor_parallel_size": 4, "deployment.replicas": 2})
    whole = simulated({"deployment.replicas": 2})
    assert found.value("cost_usd_per_year", "on_demand") == whole.value("cost_usd_per_year", "on_demand")
    assert any("leaves 4 of the 8 GPUs of its nodes unused" in note for note in found.warnings)
    assert not any("unused" in note for note in whole.warnings)


def test_an_option_without_a_price_is_a_warning_and_no_row() -> None:
    """A GPU without prices is simulated all the same; a price in the scenario brings its option back."""
    a100 = {"hardware.gpu": "a100-sxm-80gb"}
    found = simulated(a100)
    assert not [metric for metric in found.metrics if metric.option in OPTIONS]
    assert sum("is not priced" in note for note in found.warnings) == len(OPTIONS)
    given = simulated(a100 | {"pricing.gpu_on_demand_usd_per_h": 1.5})
    assert given.value("cost_usd_per_year", "on_demand") > 8 * YEAR_H * 1.5
    assert sum("is not priced" in note for note in given.warnings) == len(OPTIONS) - 1


def test_only_the_options_asked_for_are_priced_in_their_order() -> None:
    """The pricing section names the options."""
    found = simulated({"pricing.options": ["on_demand", "owned"]})
    rows = [metric.option for metric in found.metrics if metric.metric == "cost_usd_per_year"]
    assert rows == ["on_demand", "owned"]


def test_an_api_is_billed_for_all_that_was_served_and_has_no_interval() -> None:
    """Its yearly bill is that of all completed requests, good or not, said so beside it; its price is no estimate."""
    load = {"workload.arrivals": {"process": "poisson", "rate_rps": 1.0}}
    found = simulated(GLM | load | {"run.horizon_s": 120.0, "slo.tpot_ms": 25.0})
    (option,) = {metric.option for metric in found.metrics if metric.option.startswith("api:")}
    bill = found.metric("cost_usd_per_year", option)
    assert bill.value is not None
    assert "all tokens of completed requests" in bill.note
    output = found.metric("cost_usd_per_mtok_output", option)
    assert output.value is not None
    assert output.low is output.high is None
    per_year = 3600.0 * YEAR_H / 1e6
    served = found.value("output_throughput_tokens_per_s")
    assert found.value("good_output_tokens_per_s") < served
    assert output.value * served * per_year == pytest.approx(bill.value, rel=1e-9)
    assert found.metric("cost_usd_per_mtok_output", "owned").low is not None
    with pytest.raises(Exception, match="no metric 'cost_usd_per_gpu_hour'"):
        found.metric("cost_usd_per_gpu_hour", option)


def test_prices_that_cannot_be_used_are_refused_before_anything_is_simulated() -> None:
    """A provider that does not sell the model costs the user no hour of simulation."""
    scenario = tiny(GLM | {"pricing.api_provider": "nobody"})
    with pytest.raises(ScenarioError, match=r"pricing\.api_provider: .*nobody"):
        check_prices(scenario)
    seen: list[float] = []
    with pytest.raises(ScenarioError, match=r"pricing\.api_provider: .*nobody"):
        sim.simulate(scenario, workers=1, progress=seen.append)
    assert seen == []
    check_prices(tiny(GLM))


@pytest.mark.parametrize("rate_rps", [0.001, 2.0, 25.0])
def test_a_node_draws_between_idle_and_full_power(rate_rps: float) -> None:
    """Mean power lies between that of a node with idle GPUs and of one with saturated GPUs, and grows with the load."""
    model = power_model("h100-sxm-80gb", "hgx-h100-8")
    power_kw = simulated({"workload.arrivals.rate_rps": rate_rps}).value("node_power_mean_kw")
    assert model.idle_node_kw <= power_kw * (1 + 1e-12)
    assert power_kw < model.node_base_kw + model.gpus_per_node * model.gpu_max_kw
    if rate_rps < 0.01:
        assert power_kw == pytest.approx(model.idle_node_kw)
    else:
        assert power_kw > model.idle_node_kw + 0.1


def test_a_saturated_replica_is_priced() -> None:
    """A replica that never rests has shares of time that add up to one, bit by bit or not."""
    for concurrency in (4, 7, 40):
        found = simulated(
            {
                "workload.arrivals": {"process": "closed_loop", "concurrency": concurrency},
                "run.horizon_s": 33.3,
                "run.warmup_s": 3.7,
                "run.replications": 3,
            }
        )
        assert found.value("occupied_frac") == pytest.approx(1.0)
        assert found.value("node_power_mean_kw") > power_model("h100-sxm-80gb", "hgx-h100-8").idle_node_kw


def test_a_node_out_of_service_draws_nothing() -> None:
    """During an outage the mean power falls below that of an idle node."""
    outage = {"reliability.inject": [{"at_s": 12.0, "node": 0}], "workload.arrivals.rate_rps": 0.5}
    power_kw = simulated(outage).value("node_power_mean_kw")
    assert power_kw < 0.5 * power_model("h100-sxm-80gb", "hgx-h100-8").idle_node_kw


def test_staff_and_electricity_are_lines_of_an_owned_fleet(priced: Result) -> None:
    """The owned ledger has more than capital, each line says where it is from, and the energy is that of the run."""
    lines = [line for line in priced.ledger if line.option == "owned"]
    assert {line.status for line in lines} <= {"assumed", "sourced"}
    assert {"capital", "resale value", "energy", "staff"} <= {line.line for line in lines}
    dear = simulated(VARIED | {"pricing.electricity_usd_per_kwh": 1.0, "pricing.pue": 1.5})
    (energy,) = (line for line in dear.ledger if line.option == "owned" and line.line == "energy")
    assert energy.usd_per_year == pytest.approx(1.5 * YEAR_H * priced.value("node_power_mean_kw"), rel=1e-9)


def test_faults_in_the_run_are_said_to_be_no_yearly_rate() -> None:
    """Cost per token with an injected fault is that of an hour with a fault; the run says so."""
    found = simulated(
        QUICK_RESTART
        | {
            "workload.arrivals": POISSON,
            "reliability.inject": [{"at_s": 30.0, "node": 0}],
            "deployment.spare_nodes": 1,
        }
    )
    assert found.status == "completed"
    assert any("2 node faults fell into 0.0333 simulated hours" in note for note in found.warnings)
