"""Failures of a scenario: catalog defaults, restart parts, repair laws, injected faults, and what they do to a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest

import sim
from sim.catalog.tables import fact, number, table
from sim.engine.plan import ClientPolicy
from sim.errors import ScenarioError
from sim.faults.node_clock import uniforms
from sim.llm.layout import Layout
from sim.scenario.reliability import EngineClass, NodeClass
from sim.scenario.scenario import Scenario
from sim.simulation.build import build
from sim.simulation.faults import node_weight_bytes, repair_law, restart_parts
from sim.simulation.fleet_plan import fleet_plan
from sim.simulation.memory import Planned, plan
from sim.simulation.run import run_built
from sim.simulation.run_faults import run_fleet
from sim.units import DAY_S, GB, HOUR_S


@pytest.fixture
def baseline(root: Path) -> Scenario:
    return sim.load(root / "scenarios" / "glm52_fp8_16xh100.yaml")


def test_no_random_faults_unless_asked_for(baseline: Scenario) -> None:
    """A scenario that says nothing about reliability runs without faults."""
    assert run_fleet(baseline) is None
    assert build(baseline).fleet is None


def test_catalog_defaults(baseline: Scenario) -> None:
    """A run has the fleet of a year: 5 node faults per 1000 node-days, those of bad repairs in it, 10 s to detect."""
    asked = baseline.with_({"reliability.faults": True})
    fleet = run_fleet(asked)

    assert fleet is not None
    leave_per_s = sum(kind.rate_per_s for kind in fleet.node_classes if kind.leaves)
    stay_per_s = sum(kind.rate_per_s for kind in fleet.node_classes if not kind.leaves)
    assert leave_per_s / (1.0 - fleet.shop.bad_repair) + stay_per_s == pytest.approx(5.0 / 1000.0 / DAY_S)
    assert fleet.recovery.detect_s == 10.0
    assert fleet.shop.crews is None
    assert replace(fleet, node_classes=fleet.node_classes[:-1]) == fleet_plan(asked)
    assert (fleet.node_classes[-1].name, fleet.node_classes[-1].rate_per_s) == ("node_fault", 0.0)


def test_a_run_with_injected_faults_only_has_no_others(baseline: Scenario) -> None:
    """Nothing comes by itself: no rate, no bad repair, no planned work; nodes and recovery are those of a year."""
    fleet = run_fleet(baseline.with_({"reliability.inject": [{"at_s": 10.0, "node": 1}], "deployment.spare_nodes": 1}))

    assert fleet is not None
    assert fleet.injected == ((10.0, 1, "node_fault"),)
    assert not replace(fleet, injected=()).active
    assert fleet.shop.bad_repair == 0.0
    assert (fleet.nodes, fleet.recovery) == (fleet_plan(baseline).nodes, fleet_plan(baseline).recovery)
    [default] = [kind for kind in fleet.node_classes if kind.name == "node_fault"]
    assert default.repair == repair_law("urgent")
    assert default.hang_frac == 0.0


def test_repair_that_is_set_is_that_of_every_fault(baseline: Scenario) -> None:
    """Classes have their own laws and unnamed faults the urgent one; `repair`, where it is set, is for all of them."""
    changes = {"reliability.faults": True, "reliability.inject": [{"at_s": 10.0}]}
    own, trace = (run_fleet(baseline.with_(changes | more)) for more in ({}, {"reliability.repair": "trace"}))

    assert own is not None
    assert trace is not None
    assert own.node_classes[-1].repair == repair_law("urgent")
    assert len({kind.repair for kind in own.node_classes}) > 5
    assert {kind.repair for kind in trace.node_classes} == {None, repair_law("trace")}


def test_every_class_that_can_be_injected_is_one_of_the_fleet(baseline: Scenario) -> None:
    """The names that the schema allows are the classes of the clock of days, each once."""
    fleet = fleet_plan(baseline)
    names = [kind.name for kind in (*fleet.node_classes, *fleet.replica_classes)]

    assert [*get_args(NodeClass), *get_args(EngineClass)] == names


def test_restart_of_753_gb_on_one_node(baseline: Scenario) -> None:
    """320 s after detection, 330 s with it: close to the 348 s observed for a full restart."""
    one_node: Planned = SimpleNamespace(  # type: ignore[assignment]
        layout=Layout(tensor_parallel_size=8), memory=SimpleNamespace(weight_bytes=753.0 * GB / 8)
    )
    parts = restart_parts(baseline, one_node)

    assert parts["weight_load_s"] == pytest.approx(175.1, abs=0.05)
    assert sum(parts.values()) + number("reliability", "restart", "detect_s") == pytest.approx(330.0, abs=0.2)
    assert sum(parts.values()) == pytest.approx(number("reliability", "restart", "observed_total_s"), rel=0.1)


@pytest.mark.parametrize(
    ("rate_gb_per_s", "seconds"), [(1.25, 602.0), (4.3, 175.0), (9.08, 83.0), (30.5, 25.0), (45.0, 16.7)]
)
def test_weight_load_times(baseline: Scenario, rate_gb_per_s: float, seconds: float) -> None:
    """753 GB at the loading rates of the literature."""
    one_node: Planned = SimpleNamespace(  # type: ignore[assignment]
        layout=Layout(tensor_parallel_size=8), memory=SimpleNamespace(weight_bytes=753.0 * GB / 8)
    )
    changed = baseline.with_({"reliability.restart": {"load_bandwidth_gb_per_s": rate_gb_per_s}})

    assert restart_parts(changed, one_node)["weight_load_s"] == pytest.approx(seconds, abs=0.5)


def test_two_nodes_load_side_by_side(baseline: Scenario) -> None:
    """A node loads the weights of its own GPUs only."""
    planned = plan(baseline)
    halves = 2 * node_weight_bytes(planned)

    assert halves == pytest.approx(planned.memory.weight_bytes * 16)
    assert restart_parts(baseline, planned)["weight_load_s"] == pytest.approx(halves / 2 / 4.3e9)


def test_given_parts_replace_the_catalog(baseline: Scenario) -> None:
    """Each part can be set; the plan's restart is the sum of the parts."""
    given = {"weight_load_s": 1.0, "kernel_compile_s": 900.0, "schedule_s": 345.0, "warm_up_s": 0.0}
    changed = baseline.with_({"reliability.restart": given, "reliability.detect_s": 3.0})
    planned = plan(changed)
    parts = restart_parts(changed, planned)

    assert {name: parts[name] for name in given} == given
    recovery = fleet_plan(changed).recovery
    assert recovery.restart_s == pytest.approx((sum(parts.values()),))
    assert recovery.detect_s == 3.0


@pytest.mark.parametrize(("preset", "mean_h", "scv"), [("managed", 2.2, 1.0), ("urgent", 30.075, 5.52736405)])
def test_repair_moments(preset: str, mean_h: float, scv: float) -> None:
    """Mean and squared coefficient of variation of the mixtures, by their closed form."""
    law = repair_law(preset)
    mean_s = sum(share * mean for share, mean in zip(law.shares, law.means_s, strict=True))
    square = sum(2.0 * share * mean**2 for share, mean in zip(law.shares, law.means_s, strict=True))

    assert sum(law.shares) == pytest.approx(1.0)
    assert mean_s / HOUR_S == pytest.approx(mean_h)
    assert square / mean_s**2 - 1.0 == pytest.approx(scv)


def test_repairs_of_the_trace() -> None:
    """The four buckets give the mean of the trace, 132.8 h, and drawn repairs follow them."""
    law = repair_law("trace")
    mean_s = sum(share * mean for share, mean in zip(law.shares, law.means_s, strict=True))
    uniform = uniforms(np.random.default_rng(5))
    drawn = np.array([law.draw(uniform) for _ in range(20_000)])
    error_s = drawn.std() / np.sqrt(drawn.size)

    assert mean_s / HOUR_S == pytest.approx(132.8, abs=0.2)
    assert abs(drawn.mean() - mean_s) < 4.5 * error_s


def test_an_injected_fault_must_hit_a_node_that_exists(baseline: Scenario) -> None:
    """The sentence names the key, the value and the nodes there are."""
    changed = baseline.with_({"reliability.inject": [{"at_s": 10.0, "node": 2}], "deployment.spare_nodes": 0})

    with pytest.raises(ScenarioError, match=r"reliability\.inject\.0\.node: .*value 2.*0 to 1"):
        run_fleet(changed)


def test_an_injected_fault_must_come_before_the_end(baseline: Scenario) -> None:
    """A fault that would never happen is an error, not silence."""
    changed = baseline.with_({"reliability.inject": [{"at_s": 7200.0}]})

    with pytest.raises(ScenarioError, match=r"reliability\.inject\.0\.at_s: .*end of the run"):
        run_fleet(changed)


@pytest.mark.parametrize(
    "changes",
    [
        {"reliability.detect_s": -1.0},
        {"reliability.node_faults_per_1000_node_days": float("nan")},
        {"reliability.repair": "slow"},
        {"reliability.repair_crews": 0},
        {"reliability.restart": {"load_bandwidth_gb_per_s": 0.0}},
        {"reliability.restart": {"warmup_s": 1.0}},
        {"reliability.inject": [{"node": 0}]},
        {"reliability.inject": [{"at_s": 1.0, "class": "gpu_rna"}]},
        {"reliability.inject": [{"at_s": 1.0, "class_": "gpu_rma"}]},
    ],
)
def test_bad_values_are_refused(baseline: Scenario, changes: dict[str, object]) -> None:
    """Negative times, NaN, unknown words and keys, and missing times are scenario errors."""
    with pytest.raises(ScenarioError):
        baseline.with_(changes)


def test_every_row_says_where_it_comes_from() -> None:
    """Sources and dates are there, and a value lies within its own range."""
    for facts in table("reliability").values():
        for row in facts.values():
            assert row.source
            assert row.date
            assert not isinstance(row.value, str)
            assert row.low is None or row.low <= row.value
            assert row.high is None or row.value <= row.high
    assert fact("reliability", "node_faults", "rate_per_1000_node_days").status == "published"


def test_one_lost_gpu_takes_the_replica_down_and_a_spare_brings_it_back(baseline: Scenario) -> None:
    """The episode's length is detection plus restart, and its requests are killed, retried and served."""
    episode = baseline.with_(
        {
            "reliability.inject": [{"at_s": 1000.0, "node": 1}],
            "deployment.spare_nodes": 1,
            "run.horizon_s": 3000.0,
            "run.warmup_s": 300.0,
        }
    )
    built = build(episode)
    patient = ClientPolicy(max_retries=50, retry_backoff_s=30.0, retry_backoff_factor=1.0)
    patiently = replace(built, cluster=replace(built.cluster, client=patient))
    outcome = run_built(patiently, 3, 0)
    totals = outcome.record.totals

    assert (outcome.node_faults, outcome.idle_hits) == (1, 0)
    assert [(strike.at_s, strike.node, strike.replica) for strike in outcome.strikes] == [(1000.0, 1, 0)]
    assert outcome.outage_causes == ("node_fault",)
    assert totals.killed > 0
    assert totals.lost_tokens > 0
    assert totals.wasted_prefill_tokens > 0
    assert totals.failed == 0
    [(replica, down_s, up_s)] = outcome.outages
    assert (replica, down_s) == (0, 1000.0)
    assert built.fleet is not None
    recovery = built.fleet.recovery
    assert up_s == pytest.approx(1000.0 + recovery.detect_s + recovery.restart_s[0])
    assert totals.down_s == pytest.approx(up_s - down_s)  # type: ignore[operator]
