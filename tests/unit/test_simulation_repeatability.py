"""The same scenario gives the same numbers; what is compared sees the same load."""

from __future__ import annotations

from typing import Any

import pytest

import sim
from sim.engine.cluster import Outcome
from sim.simulation.run import run_replication
from sim.study.replicate import replicate
from sim.study.result import Result
from tests.study_cases import QUICK_RESTART, simulated, tiny
from tests.study_cases import VARIED as LONG

VARIED = LONG | {"run.horizon_s": 30.0, "run.warmup_s": 5.0}
FAULTY = (
    VARIED
    | QUICK_RESTART
    | {
        "deployment.replicas": 4,
        "deployment.spare_nodes": 99,
        "reliability.faults": True,
        "reliability.node_faults_per_1000_node_days": 1e7,
    }
)
SENT = ("replication", "arrival_s", "input_tokens", "output_tokens")


@pytest.fixture(scope="module")
def plain() -> Result:
    """The load without any change."""
    return simulated(VARIED)


def sent(found: Result) -> list[tuple[float, ...]]:
    """Every completed request as it was sent, in order of arrival."""
    return sorted(found.requests_frame()[list(SENT)].itertuples(index=False, name=None))


def bits(outcome: Outcome) -> tuple[Any, ...]:
    """Everything that an outcome holds, without rounding."""
    record = outcome.record
    histograms = [
        (name, item.counts.tobytes(), item.zeros, item.sum, item.minimum, item.maximum)
        for name, item in record.histograms.items()
    ]
    return record.totals, record.opened, record.rows, record.timeline, histograms, outcome.outages, outcome.end_s


@pytest.mark.parametrize("changes", [VARIED, FAULTY])
def test_twice_the_same_scenario_is_twice_the_same_result(changes: dict[str, Any]) -> None:
    """Every figure, count, warning and row, bit for bit."""
    first, second = simulated(changes), simulated(changes)
    assert (first.counts["node_faults"] > 3) == (changes is FAULTY)
    for name in ("status", "metrics", "counts", "warnings", "assumed_inputs", "ledger", "requests", "timeline"):
        assert getattr(first, name) == getattr(second, name), name
    assert first.manifest["hash"] == second.manifest["hash"]


@pytest.mark.parametrize("changes", [VARIED, FAULTY])
def test_one_worker_and_two_agree_to_the_last_bit(changes: dict[str, Any]) -> None:
    """Work in other processes changes no digit of totals, histograms, rows, timeline or outages."""
    scenario = tiny(changes | {"run.replications": 3})
    here, there = replicate(scenario, workers=1), replicate(scenario, workers=2)
    assert [bits(outcome) for outcome in here] == [bits(outcome) for outcome in there]
    assert sim.simulate(scenario, workers=1).metrics == sim.simulate(scenario, workers=2).metrics


def test_a_replication_does_not_depend_on_the_others() -> None:
    """The third replication is the same alone as among five, and differs from the second."""
    outcomes = replicate(tiny(VARIED | {"run.replications": 5}), workers=1)
    assert bits(run_replication(tiny(VARIED), 2)) == bits(outcomes[2])
    assert bits(outcomes[1]) != bits(outcomes[2])


def test_another_seed_is_another_load(plain: Result) -> None:
    """The seed reaches arrivals and lengths."""
    assert sent(plain) != sent(simulated(VARIED | {"run.seed": 2}))


@pytest.mark.parametrize(
    "change",
    [
        {"router.policy": "power_of_two"},
        {"router.policy": "round_robin"},
        {"deployment.spare_nodes": 3},
        {"slo.ttft_ms": 100.0},
        {"pricing.gpu_on_demand_usd_per_h": 9.0},
        {"description": "other words"},
    ],
)
def test_an_option_that_touches_no_request_changes_no_request(plain: Result, change: dict[str, Any]) -> None:
    """With one replica the router has no choice, and spares, limits and prices do not reach the engine."""
    other = simulated(VARIED | change)
    assert other.requests == plain.requests
    assert other.value("ttft_p90_s") == plain.value("ttft_p90_s")


@pytest.mark.parametrize(
    "change",
    [
        {"deployment.replicas": 2},
        {"deployment.replicas": 2, "router.policy": "power_of_two"},
        {"deployment.engine.max_num_seqs": 64},
        {"hardware.gpu": "h200-sxm-141gb"},
        {"deployment.engine.host_overhead_ms": 4.0},
        {"reliability.inject": [{"at_s": 29.9, "node": 0}]},
        {"run.replications": 4},
    ],
)
def test_options_that_are_compared_see_the_same_load(plain: Result, change: dict[str, Any]) -> None:
    """Another engine, GPU, size or fault leaves arrivals and lengths of every replication as they are."""
    cut_s = 27.0  # what arrives later may be unfinished in one of the two
    other = [row for row in sent(simulated(VARIED | change)) if row[0] < 2 and row[1] < cut_s]
    assert len(other) > 350
    assert other == [row for row in sent(plain) if row[1] < cut_s]


def test_a_longer_run_begins_as_the_shorter_one(plain: Result) -> None:
    """The horizon cuts the load off and does not shift it."""
    long = sent(simulated(VARIED | {"run.horizon_s": 45.0}))
    cut_s = 27.0
    assert [row for row in long if row[1] < cut_s] == [row for row in sent(plain) if row[1] < cut_s]


def test_progress_does_not_change_a_result(plain: Result) -> None:
    """Watching costs nothing but time."""
    seen: list[float] = []
    watched = sim.simulate(tiny(VARIED), workers=1, progress=seen.append)
    assert watched.metrics == plain.metrics
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_fleet_whose_rates_are_zero_is_a_run_without_faults(plain: Result) -> None:
    """All that may fail is switched on at rate zero: rows and figures are those of a run without, bit for bit."""
    quiet = {
        "reliability.faults": True,
        "reliability.node_faults_per_1000_node_days": 0.0,
        "reliability.engine_crashes_per_replica_month": 0.0,
        "reliability.slow_phases_per_replica_month": 0.0,
        "reliability.common_cause": {"site": {"outages_per_year": 0.0}},
        "operations": {},
    }
    found = simulated(VARIED | quiet)
    assert found.requests == plain.requests
    assert found.timeline == plain.timeline
    own = {metric.metric: metric for metric in plain.metrics if metric.option == plain.scenario.name}
    for metric in found.metrics:
        if metric.metric in own and metric.option == found.scenario.name:
            assert metric == own[metric.metric]
