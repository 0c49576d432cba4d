"""KV tiers from scenario to engine: blocks, bytes, bandwidths, refusals, and what a run reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sim
from sim.catalog.tables import table
from sim.errors import ScenarioError
from sim.simulation.build import build
from sim.simulation.tiers import unused_rows
from sim.units import GIB, TIB
from tests.report_cases import made_scenario

TOKEN_BYTES = 53_940  # of GLM-5.2 with FP8 cache on Hopper, without the MTP pool


def scenario(engine: dict[str, Any] | None = None, **deployment: Any) -> sim.Scenario:
    layout = {"tensor_parallel_size": 8, "pipeline_parallel_size": 2}
    base = {"kv_cache_dtype": "fp8", "gpu_memory_utilization": 0.85, "enable_prefix_caching": True}
    return made_scenario(deployment={"layout": layout, "engine": {**base, **(engine or {})}, **deployment})


def test_a_host_tier_by_hand() -> None:
    """1,024 GiB on each of two nodes, every latent eight times: 79,624 blocks of 64 tokens, 431,520 bytes a token."""
    plan = build(scenario({"host_cache": {}})).cluster.host
    assert plan is not None

    assert plan.token_bytes == 8 * TOKEN_BYTES
    assert plan.num_blocks == int(2 * 1024 * GIB / (64 * 8 * TOKEN_BYTES)) == 79_624
    assert plan.read_bytes_per_s == plan.write_bytes_per_s == 2 * 445e9
    assert not plan.swap


def test_ranks_divide_their_node() -> None:
    """Eight attention ranks of one GPU each have an eighth of a node's memory and bandwidth."""
    host_cache = {"capacity_gib": 800.0, "read_gb_per_s": 400.0, "write_gb_per_s": 200.0}
    changed = scenario({"host_cache": host_cache, "preemption_mode": "swap", "scheduler": "vllm"}).with_(
        {
            "deployment.layout.tensor_parallel_size": 1,
            "deployment.layout.pipeline_parallel_size": 1,
            "deployment.layout.data_parallel_size": 16,
            "deployment.layout.enable_expert_parallel": True,
        }
    )
    plan = build(changed).cluster.host
    assert plan is not None

    assert plan.token_bytes == TOKEN_BYTES
    assert plan.num_blocks == int(100 * GIB / (64 * TOKEN_BYTES))
    assert (plan.read_bytes_per_s, plan.write_bytes_per_s) == (50e9, 25e9)
    assert plan.swap


def test_a_remote_pool_by_hand() -> None:
    """One copy of each token in 10 TiB; written once, read by all sixteen GPUs over two nodes' links."""
    section = {"capacity_tib": 10.0, "gb_per_s": 25.0, "latency_ms": 2.0}
    plan = build(scenario(remote_cache=section)).cluster.remote
    assert plan is not None

    assert (plan.write_token_bytes, plan.read_token_bytes) == (TOKEN_BYTES, 8 * TOKEN_BYTES)
    assert plan.num_blocks == int(10 * TIB / (64 * TOKEN_BYTES))
    assert (plan.bytes_per_s, plan.latency_s) == (50e9, 0.002)


@pytest.mark.parametrize(
    ("engine", "deployment", "words"),
    [
        ({"enable_prefix_caching": False, "host_cache": {}}, {}, "needs enable_prefix_caching"),
        (
            {"enable_prefix_caching": False},
            {"remote_cache": {"capacity_tib": 1.0}},
            "needs engine.enable_prefix_caching",
        ),
        ({"preemption_mode": "swap", "scheduler": "vllm"}, {}, "needs host_cache"),
        ({"host_cache": {"capacity_gib": 0.001}}, {}, "does not hold a single KV block"),
        ({}, {"remote_cache": {"capacity_tib": 1e-9}}, "does not hold a single KV block"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(
    engine: dict[str, Any], deployment: dict[str, Any], words: str
) -> None:
    """Tiers need a prefix cache above them, swap needs a host, and a tier must hold something."""
    with pytest.raises(ScenarioError, match=words):
        build(scenario(engine, **deployment))


def test_a_report_lists_what_a_tier_rests_on() -> None:
    """Rows that no tier uses, or that the scenario replaces by values of its own, are not among the assumed inputs."""
    assert set(unused_rows(scenario())) == {
        "host_kv_gib",
        "host_read_gb_per_s",
        "host_write_gb_per_s",
        "remote_kv_gb_per_s",
        "remote_kv_latency_ms",
    }
    assert "host_kv_gib" in unused_rows(scenario({"host_cache": {"capacity_gib": 64.0}}))
    assert "host_read_gb_per_s" not in unused_rows(scenario({"host_cache": {"capacity_gib": 64.0}}))


def test_every_node_type_has_rows_for_tiers() -> None:
    """Reading from the host is never faster than PCIe Gen5 x16 on every GPU, and within its own range."""
    for node, facts in table("nodes").items():
        for row in unused_rows(scenario()):
            fact = facts[row]
            assert isinstance(fact.value, float), node
            assert fact.low is not None
            assert fact.high is not None
            assert fact.low <= fact.value <= fact.high, (node, row)


def test_agents_find_in_the_host_what_the_gpus_cannot_hold(root: Path) -> None:
    """Thirty agents on two H100 nodes: most of what the GPUs evict comes back, and the split adds up."""
    alone = sim.load(root / "scenarios" / "glm52_agents_host_16xh100.yaml").with_(
        {
            "workload.sessions.concurrency": 30,
            "run.replications": 1,
            "run.horizon_s": 1500.0,
            "run.warmup_s": 500.0,
            "deployment.engine.host_cache": None,
        }
    )
    below = alone.with_({"deployment.engine.host_cache": {}, "deployment.remote_cache": {"capacity_tib": 1.0}})
    without, result = sim.simulate(alone), sim.simulate(below)
    split = [result.value(f"prefix_hit_{tier}_frac") for tier in ("gpu", "host", "remote")]

    assert sum(split) == pytest.approx(result.value("prefix_hit_frac"))
    assert split[1] > 0.01
    assert result.value("prefix_hit_frac") > without.value("prefix_hit_frac")
    assert "prefix_hit_host_frac" not in {metric.metric for metric in without.metrics}
