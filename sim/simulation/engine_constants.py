"""What an engine adds to its kernels: the scenario's constants, or those of the catalog."""

from __future__ import annotations

from sim.catalog.tables import number
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
    return number("engines", engine.name, name) if chosen is None else float(chosen)


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
