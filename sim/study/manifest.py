"""Where a result comes from: scenario, hash, versions, seed, work done."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import sim
from sim.engine.cluster import Outcome
from sim.scenario.scenario import Scenario

LIBRARIES = ("simpy", "numpy", "scipy", "pandas", "pydantic")


def run_hash(scenario: Scenario) -> str:
    """Hash of scenario, named input files, seed and version of this package: the identity of a run."""
    return hashlib.blake2b(f"{sim.__version__} {scenario.digest()}".encode(), digest_size=16).hexdigest()


def manifest_of(scenario: Scenario, outcomes: Sequence[Outcome], wall_s: float, workers: int) -> dict[str, Any]:
    """Provenance of one result."""
    totals = [outcome.record.totals for outcome in outcomes]
    return {
        "scenario_name": scenario.name,
        "hash": run_hash(scenario),
        "version": sim.__version__,
        "libraries": {name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "seed": scenario.run.seed,
        "replications": len(outcomes),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_s": round(wall_s, 3),
        "workers": workers,
        "events": {
            "requests": sum(total.arrived for total in totals),
            "engine_steps": sum(total.steps for total in totals),
            "step_events": sum(total.boundaries for total in totals),
        },
        "scenario": scenario.resolved(),
    }
