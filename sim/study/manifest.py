"""Where a result comes from: scenario, hash, versions, seed, work done."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from importlib.metadata import version
from typing import Any

import sim
from sim.engine.cluster import Outcome
from sim.scenario.scenario import Scenario

LIBRARIES = ("simpy", "numpy", "scipy", "pandas", "pydantic")


def run_hash(scenario: Scenario) -> str:
    """Hash of scenario, named input files, seed, catalog and version of this package: the identity of a run."""
    text = f"{sim.__version__} {catalog_digest()} {scenario.digest()}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=1)
def catalog_digest() -> str:
    """Hash of all tables: a price or a coefficient that is edited makes another run."""
    hasher = hashlib.blake2b(digest_size=16)
    for file in sorted((resources.files("sim.catalog") / "data").iterdir(), key=lambda item: item.name):
        content = file.read_bytes()
        hasher.update(f"{file.name} {len(content)} ".encode() + content)
    return hasher.hexdigest()


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
