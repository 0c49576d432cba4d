"""What an engine adds to its kernels: the scenario's constants, or those of the catalog."""

from __future__ import annotations

import csv
from pathlib import Path

from sim.catalog.tables import HEADER, number
from sim.errors import ScenarioError
from sim.scenario.scenario import Scenario
from sim.steptime.served import EngineConstants
from sim.units import MICROSECOND, MILLISECOND

CONSTANTS = (
    "host_overhead_ms",
    "prefill_overhead_ms",
    "sequence_overhead_us",
    "decode_time_factor",
    "prefill_time_factor",
    "expert_decode_time_factor",
    "expert_prefill_time_factor",
    "response_latency_ms",
)


def constant(scenario: Scenario, name: str) -> float:
    """One of `CONSTANTS`, in the unit of its name."""
    engine = scenario.deployment.engine
    chosen = getattr(engine, name)
    if chosen is not None:
        return float(chosen)
    measured = calibration(scenario)
    return measured[name] if name in measured else number("engines", engine.name, name)


def calibration(scenario: Scenario) -> dict[str, float]:
    """Constants of the scenario's engine in the calibration file that it names; empty without one.

    Raises
    ------
    ScenarioError : the file is not there, is none of `sim calibrate`, or says nothing about the engine.
    """
    engine = scenario.deployment.engine
    if engine.calibration is None:
        return {}
    path = scenario.locate(engine.calibration)
    problem = ""
    found = None
    if not path.is_file():
        problem = "there is no file of that name"
    elif (found := _rows(path, engine.name)) is None:
        problem = "is no calibration file"
    elif not found:
        problem = f"says nothing about {engine.name}"
    if problem or found is None:
        raise ScenarioError(
            problem,
            key="deployment.engine.calibration",
            value=engine.calibration,
            valid=f"a CSV with the columns {', '.join(HEADER)}",
            file=scenario.file,
        )
    return found


def _rows(path: Path, engine: str) -> dict[str, float] | None:
    """Constants of an engine in a file; None if it is no calibration file."""
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        if tuple(reader.fieldnames or ()) != HEADER:
            return None
        rows = [row for row in reader if row["subject"] == engine and row["parameter"] in CONSTANTS]
        return {row["parameter"]: float(row["value"]) for row in rows}
    except (OSError, UnicodeDecodeError, ValueError, TypeError):
        return None


def engine_constants(scenario: Scenario) -> EngineConstants:
    """What is added to the step law."""
    return EngineConstants(
        decode_time_factor=constant(scenario, "decode_time_factor"),
        prefill_time_factor=constant(scenario, "prefill_time_factor"),
        expert_decode_time_factor=constant(scenario, "expert_decode_time_factor"),
        expert_prefill_time_factor=constant(scenario, "expert_prefill_time_factor"),
        prefill_overhead_s=constant(scenario, "prefill_overhead_ms") * MILLISECOND,
        sequence_overhead_s=constant(scenario, "sequence_overhead_us") * MICROSECOND,
    )
