"""Recorded agent sessions, replayed whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import sim
from sim.simulation.build import build
from sim.simulation.run import run_built

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
CALLS = 49_334


@pytest.mark.long
def test_all_claude_code_calls_replay_within_a_minute(shared: Callable[[str], Path]) -> None:
    """49,334 calls of 122 thousand tokens each run on two 16-GPU replicas in under 60 s of one core.

    A call too long for any rank is refused, which ends its session: those of its calls that were not sent are all
    that is missing.
    """
    path = shared("traces/claude_code_sessions_rle.jsonl.gz")
    scenario = sim.load(SCENARIOS / "glm52_agents_16xh100.yaml").with_(
        {
            "workload": {"trace": {"path": str(path)}, "sessions": {"rate_per_s": 0.004}},
            "deployment.replicas": 2,
            "router.policy": "session_sticky",
            "router.request_timeout_s": 1e8,
            "run": {"horizon_s": 1e7, "warmup_s": 0.0, "replications": 1, "seed": 1},
        }
    )
    built = build(scenario)

    begin_s = time.process_time()
    outcome = run_built(built, scenario.run.seed, 0)
    cpu_s = time.process_time() - begin_s

    totals = outcome.record.totals
    assert outcome.unfinished == 0
    assert totals.completed + totals.refused == totals.arrived
    assert totals.refused <= 2
    assert totals.arrived > 0.97 * CALLS
    assert totals.input_tokens_completed > 0.95 * 6_037_445_403
    assert cpu_s < 60.0
