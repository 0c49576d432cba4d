"""The committed JSON Schema and the units in key names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from sim.scenario.problems import _models_in
from sim.scenario.scenario import Scenario
from sim.scenario.schema import schema_text
from sim.units import has_unit

COUNTS_AND_PURE = {
    "model_draws", "model_uncertainty",
    "replicas", "spare_nodes", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size",
    "redundant_experts", "max_num_seqs", "max_num_batched_tokens", "block_size", "max_retries", "replications",
    "seed", "max_requests", "concurrency", "replicate", "repair_crews", "node", "max_model_len", "staff_fte",
    "affinity_guard", "clients", "max_concurrent_requests", "burst", "tokens_per_min",
    "priority_preemption_threshold", "without_largest", "num_max_dispatch_tokens_per_rank", "step_interval",
    "window_size", "layers", "expert_parallel_size", "gpu_memory_utilization", "retry_backoff_factor", "alpha",
    "max_over_mean", "cv", "burstiness", "sigma", "zipf", "decode_time_factor", "prefill_time_factor",
    "expert_decode_time_factor", "expert_prefill_time_factor", "prefix_hash_load_factor", "schedule_conservativeness",
    "decode_context_parallel_size", "prefill_context_parallel_size", "rank_correlation", "output_scale", "time_warp",
    "pue", "range_ratio", "jump_probabilities", "probabilities", "weights", "tokens", "num_speculative_tokens",
    "acceptance_length", "duplicate_largest", "max_in_flight", "requests", "priority", "scale",
    "num_reserved_decode_tokens", "breaker_failures", "breaker_successes", "retry_budget_burst", "target",
    "min_replicas", "max_replicas", "success_prob", "rack_nodes", "shock_nodes", "outages_per_year", "amplitude",
    "max_failed_ranks", "engine_crashes_per_replica_month", "slow_phases_per_replica_month", "repair_sigma", "pace",
    "faults", "stock",
}  # fmt: skip


def numeric_fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, name) of every field whose value is a number or a row of numbers."""
    for name, field in model.model_fields.items():
        inner = list(dict.fromkeys(_models_in(field.annotation)))
        for section in inner:
            yield from numeric_fields(section, f"{prefix}{name}.")
        if not inner and re.search(r"\b(int|float)\b", str(field.annotation)):
            yield f"{prefix}{name}", name


def test_every_number_carries_its_unit_or_is_a_known_count() -> None:
    """No key leaves a reader guessing what it is measured in."""
    bare = {path for path, name in numeric_fields(Scenario) if not has_unit(name) and name not in COUNTS_AND_PURE}
    assert not bare


def test_the_committed_schema_is_that_of_the_code(root: Path) -> None:
    """`make schema` was run after the last change."""
    assert (root / "scenarios" / "schema.json").read_text(encoding="utf-8") == schema_text()


def test_every_scenario_opens_with_its_question_and_validates(root: Path) -> None:
    """Each file names the schema, asks its question in three comment lines, and loads."""
    import sim

    files = sorted((root / "scenarios").glob("*.yaml"))
    assert len(files) >= 7
    for path in files:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# yaml-language-server: $schema="), path
        assert lines[1].startswith("# Question: "), path
        assert all(line.startswith("# ") for line in lines[1:4]), path
        assert sim.load(path).description, path


@pytest.mark.parametrize("section", ["model", "hardware", "deployment", "workload", "router", "slo", "pricing", "run"])
def test_every_key_is_described(section: str) -> None:
    """Editors show a sentence for every key."""

    def undescribed(model: type[BaseModel], prefix: str) -> Iterator[str]:
        for name, field in model.model_fields.items():
            if not field.description:
                yield f"{prefix}{name}"
            for inner in _models_in(field.annotation):
                yield from undescribed(inner, f"{prefix}{name}.")

    annotation: Any = Scenario.model_fields[section].annotation
    assert not list(undescribed(annotation, f"{section}."))
