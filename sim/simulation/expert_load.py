"""Routing of a scenario's experts, as the step-time law takes it: measured histograms are read here."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sim.errors import ScenarioError
from sim.llm.spec import ModelSpec
from sim.scenario.scenario import Scenario
from sim.steptime.popularity import Histogram

_KEY = "deployment.expert_imbalance"
_COLUMNS = ("layer", "expert", "tokens")


def expert_load(scenario: Scenario, spec: ModelSpec) -> Mapping[str, object]:
    """The section `deployment.expert_imbalance` with its histograms in place of their names.

    Raises
    ------
    ScenarioError : a histogram that is missing or does not describe the experts of the model; names file and key.
    """
    chosen: dict[str, Any] = scenario.deployment.expert_imbalance.model_dump(exclude_none=True)
    _read(scenario, spec, chosen, _KEY)
    for place, group in enumerate(chosen.get("groups", ())):
        _read(scenario, spec, group, f"{_KEY}.groups.{place}")
    return chosen


def _read(scenario: Scenario, spec: ModelSpec, section: dict[str, Any], key: str) -> None:
    name = section.get("histogram")
    if name is None:
        return
    path = scenario.locate(name)
    try:
        section["histogram"] = read_histogram(path, spec.num_experts, spec.num_experts_per_token)
    except (OSError, ValueError) as error:
        problem = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise ScenarioError(problem, key=f"{key}.histogram", value=name, file=scenario.file) from None


def read_histogram(path: Path, num_experts: int, num_experts_per_token: int) -> Histogram:
    """Tokens per expert from a CSV with the columns `expert` (from 0) and `tokens`, and `layer` where layers differ.

    Raises
    ------
    OSError : the file cannot be read.
    ValueError : a column, an expert or a number is missing or wrong, or an expert got more than every token.
    """
    layers: dict[int, dict[int, float]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        columns = tuple(reader.fieldnames or ())
        if not {"expert", "tokens"} <= set(columns) or not set(columns) <= set(_COLUMNS):
            raise ValueError(
                f"needs the columns expert and tokens, may have layer, and has {', '.join(columns) or 'none'}"
            )
        for row in reader:
            layer, expert, tokens = _row(row, reader.line_num, num_experts)
            experts = layers.setdefault(layer, {})
            if expert in experts:
                raise ValueError(f"line {reader.line_num}: expert {expert} of layer {layer} stands there twice")
            experts[expert] = tokens
    if not layers:
        raise ValueError("has no rows")
    for layer, experts in layers.items():
        _check_layer(layer, experts, num_experts, num_experts_per_token)
    ordered = [[layers[layer][expert] for expert in range(num_experts)] for layer in sorted(layers)]
    return Histogram.of(ordered, str(path))


def _row(row: Mapping[str, str | None], line: int, num_experts: int) -> tuple[int, int, float]:
    try:
        layer, expert, tokens = int(row.get("layer") or 0), int(row["expert"] or ""), float(row["tokens"] or "")
    except ValueError:
        raise ValueError(f"line {line}: layer and expert must be whole numbers and tokens a number") from None
    if not 0 <= expert < num_experts:
        raise ValueError(
            f"line {line}: expert {expert} is not among the {num_experts} of the model, 0 to {num_experts - 1}"
        )
    if not 0.0 <= tokens < float("inf"):
        raise ValueError(f"line {line}: tokens {row['tokens']} must be a number from 0")
    return layer, expert, tokens


def _check_layer(layer: int, experts: Mapping[int, float], num_experts: int, chosen: int) -> None:
    if len(experts) != num_experts:
        missing = next(expert for expert in range(num_experts) if expert not in experts)
        raise ValueError(
            f"layer {layer} has {len(experts)} experts, the model {num_experts}; expert {missing} is missing"
        )
    total = sum(experts.values())
    if not total:
        raise ValueError(f"layer {layer} has no tokens")
    hottest = max(experts, key=lambda expert: experts[expert])
    if experts[hottest] * chosen > total * (1.0 + 1e-9):
        raise ValueError(
            f"expert {hottest} of layer {layer} has {experts[hottest] / total:.1%} of the pairs; a token goes to "
            f"{chosen} different experts, so none can have more than {1 / chosen:.1%}"
        )
