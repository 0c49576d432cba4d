"""Scenarios with a prefill and a decode pool: what is planned for each, what is refused, and what a run reports."""

from __future__ import annotations

from typing import Any

import pytest

import sim
from sim.catalog.tables import number
from sim.errors import ScenarioError, SimError
from sim.report.check_text import check_dict, check_text
from sim.report.html import html_report
from sim.report.sections import POOLS, rows_of
from sim.simulation.build import build
from sim.simulation.check import check
from sim.simulation.explain import explain
from sim.simulation.roles import gpus_in_service, nodes_in_service, roles_of
from sim.simulation.run import run_replication
from sim.study.ratio import search_ratio, splits_of
from sim.study.saturation import saturation
from tests.study_cases import QUICK_RESTART, VARIED, tiny

POOL: dict[str, Any] = {
    "deployment.disaggregation": {
        "prefill": {"replicas": 2, "engine": {"max_num_batched_tokens": 4096}},
        "decode": {
            "layout": {"tensor_parallel_size": 4, "data_parallel_size": 2, "enable_expert_parallel": True},
            "engine": {"max_num_seqs": 16},
        },
    }
}
DEEPSEEK = "scenarios/deepseek_v3_disagg_32xh100.yaml"


def pooled(changes: dict[str, Any] | None = None) -> sim.Scenario:
    """Two prefill replicas of TP8 and one decode replica of TP4 x DP2, on a node each."""
    return tiny({**POOL, **(changes or {})})


def test_pools_inherit_what_they_do_not_say() -> None:
    """Layout and engine of the deployment stand under those of each pool, also after a round trip."""
    scenario = pooled({"deployment.engine.enable_prefix_caching": True})
    prefill, decode = roles_of(scenario)

    assert prefill.planned.layout.tensor_parallel_size == 8
    assert (decode.planned.layout.tensor_parallel_size, decode.planned.layout.data_parallel_size) == (4, 2)
    assert prefill.scenario.deployment.engine.max_num_batched_tokens == 4096
    assert decode.scenario.deployment.engine.max_num_batched_tokens == 2048
    assert (prefill.scenario.deployment.engine.max_num_seqs, decode.scenario.deployment.engine.max_num_seqs) == (4, 16)
    assert prefill.scenario.deployment.engine.enable_prefix_caching
    assert not decode.scenario.deployment.engine.enable_prefix_caching
    assert sim.parse(scenario.resolved()).resolved() == scenario.resolved()
    assert (nodes_in_service(scenario), gpus_in_service(scenario)) == (3, 24)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deployment.replicas": 3}, "prefill.replicas"),
        ({"deployment.disaggregation.decode.engine.kv_cache_dtype": "fp8"}, "kv_cache_dtype"),
        ({"deployment.disaggregation.decode.engine.name": "vllm"}, "engine.name"),
        ({"deployment.disaggregation.decode.engine.no_such_key": 1}, "no_such_key"),
        ({"deployment.engine.enable_prefix_caching": True, "deployment.engine.host_cache": {}}, "KV tiers"),
        ({"deployment.disaggregation.transfer.bandwidth_efficiency_frac": 0.0}, "bandwidth_efficiency_frac"),
        ({"deployment.disaggregation.decode.engine.num_speculative_tokens": 1}, "num_speculative_tokens 1"),
        ({"deployment.disaggregation.prefill.engine.enable_mixed_chunk": False}, "enable_mixed_chunk"),
        ({"deployment.engine.scheduler": "sglang"}, "auto or vllm"),
        ({"deployment.engine.schedule_conservativeness": 0.5}, "auto or vllm"),
        ({"deployment.disaggregation.decode.layout.prefill_context_parallel_size": 2}, "computes none"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], words: str) -> None:
    """Replicas that do both beside pools, KV that one pool stores otherwise than the other, unknown keys."""
    with pytest.raises(ScenarioError, match=words):
        pooled(changes)


def test_pools_admit_by_the_rules_of_vllm() -> None:
    """Whatever the engine, neither pool looks ahead to output; only prompts displace others by class."""
    cluster = build(
        pooled(
            {"deployment.engine.scheduling_policy": "priority", "deployment.engine.priority_preemption_threshold": 1}
        )
    ).cluster
    assert cluster.decode is not None

    for limits in (cluster.limits, cluster.decode.limits):
        assert (limits.scheduler, limits.new_token_ratio, limits.scheduling_policy) == ("vllm", None, "priority")
    assert cluster.limits.priority_preemption_threshold == 1
    assert cluster.decode.limits.priority_preemption_threshold is None


def test_both_pools_run_by_the_constants_of_their_engine() -> None:
    """Host time per step of an engine is added to the kernels of prefill and decode replicas alike."""
    slow, quick = (
        build(pooled({"deployment.engine.prefill_overhead_ms": ms, "deployment.engine.sequence_overhead_us": 10 * ms}))
        for ms in (50.0, 0.0)
    )
    assert slow.decode_served is not None
    assert quick.decode_served is not None

    prompt = [(1000, 0)]
    added_s = slow.served.mixed_s(0, 0, 0, any_above=False, prefills=prompt) - quick.served.mixed_s(
        0, 0, 0, any_above=False, prefills=prompt
    )
    added_s += slow.served.shared_s(1000, 1000, prefill=True) - quick.served.shared_s(1000, 1000, prefill=True)
    assert added_s == pytest.approx(0.05, rel=0.02)
    assert slow.decode_served.decode(8).base_s > quick.decode_served.decode(8).base_s


def test_tenants_of_two_pools() -> None:
    """Requests of a mixture keep their tenant from one pool to the other, and all of them are accounted for."""
    lengths = {
        "input_tokens": {"law": "constant", "tokens": 100},
        "output_tokens": {"law": "constant", "tokens": 20},
    }
    arrivals = {"process": "poisson", "rate_rps": 2.0}
    raw = pooled().resolved()
    raw["workload"] = {"mix": {"parts": {name: {"arrivals": arrivals, **lengths} for name in ("one", "two")}}}
    result = sim.simulate(sim.parse(raw), workers=1)

    counts = {(metric.option, metric.metric): metric.value for metric in result.metrics}
    for tenant in ("tenant:one", "tenant:two"):
        assert counts[tenant, "completed"]
        assert counts[tenant, "completed"] == counts[tenant, "attempted"]


def test_bytes_and_rates_of_a_transfer() -> None:
    """Grouped-query heads are divided over tensor ranks: both GPUs' parts make one copy, sent over each GPU's card."""
    plan = build(pooled()).cluster.decode
    assert plan is not None
    # Mixtral 8x7B: 32 layers x 8 heads x (128 + 128) x 2 bytes
    assert plan.transfer.bytes_per_token == 32 * 8 * 256 * 2
    card = (
        number("nodes", "hgx-h100-8", "nic_gb_per_s") * 1e9 * number("engines", "sglang", "kv_transfer_efficiency_frac")
    )
    assert plan.transfer.send_bytes_per_s == pytest.approx(8 * card)
    assert plan.transfer.receive_bytes_per_s == pytest.approx(4 * card)
    assert plan.num_reserved_decode_tokens == 512
    own = {"bandwidth_efficiency_frac": 1.0, "latency_ms": 2.0}
    chosen = build(pooled({"deployment.disaggregation.transfer": own})).cluster.decode
    assert chosen is not None
    assert chosen.transfer.receive_bytes_per_s == pytest.approx(4 * 50e9)
    assert chosen.transfer.latency_s == 0.002


def test_a_latent_is_sent_to_every_gpu_or_once() -> None:
    """GLM-5.2 stores 92,628 bytes per token on each of 8 tensor ranks: eight copies are sent, or one if asked."""
    changes = {
        "model": {"name": "glm-5.2", "weights": "fp8_block"},
        "hardware.gpu": "h200-sxm-141gb",
        "deployment.disaggregation": {},
        "deployment.engine.kv_cache_dtype": "bf16",
    }
    copies = build(tiny(changes)).cluster.decode
    once = build(tiny({**changes, "deployment.disaggregation": {"transfer": {"kv_copies": "one"}}})).cluster.decode
    assert copies is not None
    assert once is not None
    assert (copies.transfer.bytes_per_token, once.transfer.bytes_per_token) == (8 * 92_628, 92_628)
    seconds = 1000 * copies.transfer.bytes_per_token / copies.transfer.receive_bytes_per_s
    assert seconds == pytest.approx(3.9e-3, rel=0.01)


def test_a_pool_that_does_not_fit_is_named() -> None:
    """The memory plan is made for each pool, and the reason says which one does not fit."""
    found = check(pooled({"deployment.disaggregation.decode.layout": {"tensor_parallel_size": 1}}))
    assert found.infeasible is not None
    assert found.infeasible.kind == "does_not_fit"
    assert "decode pool" in found.infeasible.problem


@pytest.mark.parametrize(
    ("changes", "pool"),
    [
        ({"workload.input_tokens.tokens": 20_000, "workload.arrivals.rate_rps": 50.0}, "prefill"),
        ({"workload.output_tokens.tokens": 20_000, "workload.arrivals.rate_rps": 50.0}, "decode"),
    ],
)
def test_a_load_above_one_pool_names_it(changes: dict[str, Any], pool: str) -> None:
    """Without simulating: long prompts exceed the prefill pool, long answers the decode pool."""
    found = check(pooled(changes))
    assert found.infeasible is not None
    assert found.infeasible.kind == "over_capacity"
    assert f"{pool} replica" in found.infeasible.problem
    result = sim.simulate(pooled(changes), workers=1)
    assert result.status == "infeasible"


@pytest.mark.parametrize(
    ("changes", "pool"),
    [
        ({"workload.input_tokens.tokens": 8000, "workload.arrivals.rate_rps": 1.1}, "prefill"),
        ({"workload.output_tokens.tokens": 1000, "workload.arrivals.rate_rps": 1.1}, "decode"),
    ],
)
def test_a_load_that_only_the_run_shows_to_be_too_much_names_its_pool(changes: dict[str, Any], pool: str) -> None:
    """A load at the bound of one pool is above what it can do, and the run says for which pool it waits."""
    rate = changes["workload.arrivals.rate_rps"]
    found = check(pooled({**changes, "workload.arrivals.rate_rps": 0.01}))
    bound = {"prefill": found.bound, "decode": found.decode_bound}[pool]
    assert bound is not None
    replicas = 2 if pool == "prefill" else 1
    scenario = pooled(
        {**changes, "workload.arrivals.rate_rps": rate * replicas * bound.requests_rps, "run.horizon_s": 300.0}
    )
    result = sim.simulate(scenario, workers=1)
    assert result.status == "over_capacity"
    assert result.infeasible is not None
    assert f"The {pool} pool is what it waits for" in result.infeasible.problem


def test_check_and_explain_speak_of_both_pools() -> None:
    """`sim check` prints both plans and the transfer; a step is explained under the law of the pool that runs it."""
    scenario = pooled()
    text, data = check_text(scenario, check(scenario)), check_dict(scenario, check(scenario))
    for words in ("prefill replica", "decode replica", "KV from prefill to decode", "2 prefill replicas of TP8"):
        assert words in text
    assert data["prefill"]["layout"] == "TP8"
    assert data["decode"]["capacity_bound"]["seqs_per_rank"] == 16
    assert str(explain(scenario, seqs=8).planned.layout) != "TP8"
    assert str(explain(scenario, seqs=0, prefill_tokens=512).planned.layout) == "TP8"
    with pytest.raises(ScenarioError, match="two pools"):
        explain(scenario, seqs=4, prefill_tokens=512)


def test_a_run_reports_both_pools_and_costs_all_nodes() -> None:
    """Figures of each pool stand beside those of the whole; what is paid for are the nodes of both."""
    result = sim.simulate(pooled(VARIED), workers=1)
    assert result.status == "completed"
    assert len(rows_of(result, POOLS)) == len(POOLS)
    assert result.value("decode_wait_p50_s") <= result.value("decode_wait_p95_s")
    assert result.value("kv_transfer_mean_s") >= 0.005
    assert 0.0 < result.value("prefill_occupied_frac") < 1.0
    both = (2 * result.value("prefill_occupied_frac") + result.value("decode_occupied_frac")) / 3
    assert result.value("occupied_frac") == pytest.approx(both)
    one_node = sim.simulate(tiny(VARIED), workers=1)
    rent, thrice = (
        next(line.usd_per_year for line in found.ledger if (line.option, line.line) == ("on_demand", "rent"))
        for found in (one_node, result)
    )
    assert thrice == pytest.approx(3 * rent)
    names = [item.name for item in result.assumed_inputs]
    assert any("kv_transfer_latency_ms" in name for name in names)
    page = html_report(result)
    assert "Memory plan of a prefill replica" in page
    assert "Memory plan of a decode replica" in page


def test_one_worker_or_two_give_the_same() -> None:
    """A disaggregated result does not depend on the number of processes."""
    faults = {**VARIED, **QUICK_RESTART, "reliability.inject": [{"at_s": 15.0, "node": 2}], "deployment.spare_nodes": 1}
    faults["run.horizon_s"] = 30.0
    one, two = (sim.simulate(pooled(faults), workers=workers) for workers in (1, 2))
    assert [metric.as_dict() for metric in one.metrics] == [metric.as_dict() for metric in two.metrics]
    assert one.value("decode_available_frac") < 1.0
    assert one.value("prefill_available_frac") == 1.0


def test_pools_share_the_spares() -> None:
    """One spare for a lost prefill node and a lost decode node: the first has it at once, the other waits."""
    faults = [{"at_s": 10.0, "node": 0}, {"at_s": 10.5, "node": 2}]
    changes = {**VARIED, **QUICK_RESTART, "reliability.inject": faults, "deployment.spare_nodes": 1}
    outcome = run_replication(pooled(changes), 0)

    (first, *_, first_up_s), (second, *_, second_up_s) = outcome.outages
    assert (first, second) == (0, 2)
    assert first_up_s == pytest.approx(10.0 + 2.0 + 5.0)
    assert second_up_s is None
    assert outcome.node_faults == 2


def test_agents_find_their_prefix_in_the_prefill_pool() -> None:
    """Sessions keep their cache where prompts are computed; only what they miss is computed again."""
    changes = {
        "workload": {"preset": "agentic_coding", "sessions": {"concurrency": 2}},
        "deployment.engine": {
            "max_num_seqs": 4,
            "max_num_batched_tokens": 8192,
            "kv_cache_dtype": "bf16",
            "enable_prefix_caching": True,
        },
        "run": {"horizon_s": 400.0, "warmup_s": 0.0, "replications": 1},
        "router.policy": "prefix_affinity",
        "model": {"name": "deepseek-v3-r1"},
        "hardware.gpu": "h200-sxm-141gb",
        "deployment.disaggregation.decode.layout": {"data_parallel_size": 1, "tensor_parallel_size": 8},
    }
    result = sim.simulate(pooled(changes), workers=1)
    assert result.value("prefix_hit_frac") > 0.8


def test_a_fault_in_a_node_that_neither_pool_has_is_refused() -> None:
    """Nodes count over both pools: three in service here, so the fourth is no node."""
    ok = {"reliability.inject": [{"at_s": 20.0, "node": 2}]}
    fleet = build(pooled(ok)).fleet
    assert fleet is not None
    assert [(at_s, node) for at_s, node, _ in fleet.injected] == [(20.0, 2)]
    assert fleet.in_service == 3
    with pytest.raises(ScenarioError, match="no such node"):
        build(pooled({"reliability.inject": [{"at_s": 20.0, "node": 3}]}))


def test_saturation_lies_below_the_bound_of_either_pool() -> None:
    """Never short of work, the pools deliver what the slower one can, and less than any bound says."""
    scenario = pooled({"workload.output_tokens.tokens": 100})
    found = check(scenario)
    assert found.bound is not None
    assert found.decode_bound is not None
    top = saturation(scenario, workers=1)
    least = min(2 * found.bound.requests_rps, found.decode_bound.requests_rps)
    assert 0.3 * least < top.requests_rps <= least


def test_the_scenario_file_runs(root: Any) -> None:
    """DeepSeek-V3 on 32 H100: both pools fit, and a short run keeps up."""
    scenario = sim.load(root / DEEPSEEK).with_({"run.horizon_s": 60.0, "run.warmup_s": 10.0, "run.replications": 1})
    result = sim.simulate(scenario, workers=1)
    assert result.status == "completed"
    assert result.counts["completed"] > 200


# ---- the ratio of the two -----------------------------------------------------------------------------------------


def test_splits_fill_the_gpus() -> None:
    """Four nodes hold three splits, and as many replicas that do both; what leaves a node idle is left out."""
    names = [split.name for split in splits_of(pooled(), 32)]
    both = f"4 aggregated {roles_of(pooled())[1].planned.layout}"
    assert names == ["1 prefill + 3 decode", "2 prefill + 2 decode", "3 prefill + 1 decode", "4 aggregated TP8", both]
    assert [split.prefill for split in splits_of(pooled(), 8)] == [0, 0]


def test_the_search_brackets_what_each_split_carries() -> None:
    """Each answer lies between a load that met the service level and one that did not; prompts need prefill nodes."""
    changes = {
        "slo.ttft_ms": 300.0,
        "slo.tpot_ms": 60.0,
        "run": {"horizon_s": 40.0, "warmup_s": 10.0, "replications": 1},
        "workload.arrivals": {"process": "poisson", "rate_rps": 1.0},
    }
    long_prompts = pooled({**changes, "workload.input_tokens.tokens": 3000, "workload.output_tokens.tokens": 8})
    search = search_ratio(long_prompts, 24, tolerance_frac=0.2, workers=1)

    assert [split.prefill for split in search.splits] == [1, 2, 0, 0]
    for split in search.splits:
        assert split.inside_rps is not None
        assert split.outside_rps is not None
        assert split.inside_rps < split.outside_rps <= 1.3 * split.inside_rps
        assert split.result is not None
        assert split.result.value("slo_attainment_frac") >= long_prompts.slo.attainment_frac
    one, two, *_ = search.splits
    assert (two.inside_rps or 0.0) > 1.5 * (one.inside_rps or 0.0)
    assert search.best.prefill != 1
    table = search.table()
    assert table.loc["1 prefill + 2 decode", "cost_usd_per_mtok_output"] > 0.0
    frame = search.frame()
    assert {"split", "option", "metric", "unit", "value", "low", "high", "status"} <= set(frame.columns)


def test_a_search_needs_pools_a_rate_and_a_service_level() -> None:
    """Each is missed with a sentence of its own."""
    with pytest.raises(SimError, match="disaggregation"):
        search_ratio(tiny(), 16)
    with pytest.raises(SimError, match="service level"):
        search_ratio(pooled(), 16)
    with pytest.raises(SimError, match="no replica of each"):
        search_ratio(pooled({"slo.ttft_ms": 300.0}), 4)
