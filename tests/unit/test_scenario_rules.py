"""From the keys of a scenario to the rules of its engine."""

from __future__ import annotations

import pytest

from sim.errors import ScenarioError
from sim.simulation.build import build
from tests.study_cases import tiny


@pytest.mark.parametrize(
    ("name", "scheduler", "expected"),
    [
        ("sglang", "auto", "sglang"),
        ("vllm", "auto", "vllm"),
        ("tensorrt-llm", "auto", "tensorrt-llm"),
        ("sglang", "vllm", "vllm"),
    ],
)
def test_the_engine_brings_its_rules(name: str, scheduler: str, expected: str) -> None:
    """`auto` follows the name; another scheduler can be asked for."""
    engine = build(tiny({"deployment.engine.name": name, "deployment.engine.scheduler": scheduler})).cluster.limits
    assert engine.scheduler == expected
    assert (engine.new_token_ratio is not None) == (expected == "sglang")


def test_the_ratio_comes_from_the_catalog() -> None:
    """0.7, falling to 0.14 of it in 600 steps; conservativeness scales both, up to 1."""
    plain = build(tiny({})).cluster.limits.new_token_ratio
    careful = build(tiny({"deployment.engine.schedule_conservativeness": 1.2})).cluster.limits.new_token_ratio
    most = build(tiny({"deployment.engine.schedule_conservativeness": 3.0})).cluster.limits.new_token_ratio

    assert plain is not None
    assert careful is not None
    assert most is not None
    assert (plain.initial, plain.clip_tokens, plain.retract_steps) == (0.7, 4096, 20)
    assert plain.minimum == pytest.approx(0.098)
    assert plain.decay == pytest.approx(0.602 / 600)
    assert careful.initial == pytest.approx(0.84)
    assert most.initial == 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"capacity_scheduler_policy": "MAX_UTILIZATION"},
            "capacity_scheduler_policy belongs to the scheduler tensorrt",
        ),
        ({"name": "vllm", "schedule_conservativeness": 1.0}, "belongs to the scheduler sglang, not to vllm"),
        ({"priority_preemption_threshold": 0}, "needs scheduling_policy: priority"),
        ({"name": "vllm", "enable_mixed_chunk": False}, "vllm always mixes"),
        ({"layout": {"pipeline_parallel_size": 2}, "enable_mixed_chunk": False}, "one attention rank and one pipeline"),
    ],
)
def test_keys_that_would_do_nothing_are_refused(changes: dict[str, object], words: str) -> None:
    """A key of another engine, or one that lacks its counterpart, is an error that says so."""
    layout = changes.pop("layout", {})
    flat = {f"deployment.engine.{key}": value for key, value in changes.items()}
    flat |= {f"deployment.layout.{key}": value for key, value in dict(layout).items()}  # type: ignore[call-overload]
    with pytest.raises(ScenarioError, match=words):
        tiny(flat)


def test_the_router_knows_at_once_unless_told_otherwise() -> None:
    """Perfect knowledge and retries by default; observed knowledge takes the gateway's values from the catalog."""
    plain = build(tiny({})).cluster
    observed = build(tiny({"router.health": {"knowledge": "observed", "breaker_cooldown_s": 7.0}})).cluster.health

    assert plain.health is None
    assert plain.in_flight == "retry"
    assert (plain.client.retry_backoff_max_s, plain.client.retry_jitter_frac) == (30.0, 0.0)
    assert plain.client.retry_budget_frac is None
    assert observed is not None
    assert (observed.check_interval_s, observed.failures, observed.window_s, observed.successes) == (60.0, 5, 60.0, 2)
    assert observed.cooldown_s == 7.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"router.health": {"breaker_failures": 3}}, "belongs to knowledge: observed"),
        ({"router.retry_budget_burst": 3}, "belongs to retry_budget_frac"),
        ({"deployment.autoscaling": {"min_replicas": 3, "max_replicas": 2, "target": 1.0}}, "exceeds max_replicas"),
    ],
)
def test_values_that_nothing_would_read_are_refused(changes: dict[str, object], message: str) -> None:
    """Breaker, budget and bounds without what they belong to are errors."""
    with pytest.raises(ScenarioError, match=message):
        tiny(changes)
