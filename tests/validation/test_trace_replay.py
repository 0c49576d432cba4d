"""Real traces replay to the end on a fleet that carries them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sim

pytestmark = pytest.mark.traces


@pytest.mark.parametrize(
    ("name", "requests", "replicas"),
    [
        ("azure_llm_2023_conv.csv.gz", 19_366, 4),
        ("azure_llm_2023_code.csv.gz", 8_819, 4),
        ("mooncake_fast25_conversation.jsonl.gz", 12_031, 16),
    ],
)
def test_a_real_trace_replays_to_the_end(
    root: Path, shared: Callable[[str], Path], name: str, requests: int, replicas: int
) -> None:
    """Every request of the file completes, none is lost, and the exact identities hold (the run asserts them)."""
    trace = shared(f"traces/{name}")
    scenario = sim.load(
        root / "scenarios" / "glm52_trace_replay.yaml",
        {"workload": {"trace": {"path": str(trace)}}, "deployment.replicas": replicas},
    )
    result = sim.simulate(scenario, workers=1)
    assert result.status == "completed"
    assert result.counts["attempted"] == result.counts["completed"] == result.counts["measured"] == requests
    assert result.value("lost_tokens_frac") == 0.0
    assert any("replayed once" in warning for warning in result.warnings)


def test_too_small_a_fleet_is_a_named_result(root: Path, shared: Callable[[str], Path]) -> None:
    """Negative twin: the Mooncake trace on two replicas is above capacity, and the run says how many it takes."""
    trace = shared("traces/mooncake_fast25_conversation.jsonl.gz")
    scenario = sim.load(
        root / "scenarios" / "glm52_trace_replay.yaml",
        {"workload": {"trace": {"path": str(trace)}}, "deployment.replicas": 2, "run.horizon_s": 3600.0},
    )
    result = sim.simulate(scenario, workers=1)
    assert result.infeasible is not None
    assert result.infeasible.kind == "over_capacity"
    assert result.infeasible.numbers["replicas_needed"] > 2
