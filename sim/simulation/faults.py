"""Rates, repairs and restarts of a scenario."""

from __future__ import annotations

from sim.catalog.tables import number
from sim.faults.phases import Phases
from sim.scenario.scenario import Scenario
from sim.simulation.memory import Planned
from sim.units import GB, HOUR_S

TABLE = "reliability"
USUAL_REPAIR = "urgent"  # of a fault that is injected without a class
RESTART_PARTS = (
    "schedule_s",
    "process_init_s",
    "weight_load_s",
    "kv_allocation_s",
    "graph_capture_s",
    "kernel_compile_s",
    "warm_up_s",
)


def detect_s(scenario: Scenario) -> float:
    """From a crash to the start of recovery: the scenario's, or the catalog's."""
    chosen = scenario.reliability.detect_s
    return number(TABLE, "restart", "detect_s") if chosen is None else chosen


def repair_law(preset: str) -> Phases:
    """Mixture of exponential repair times: `managed` has mean 2.2 h, `urgent` 30.075 h, `trace` 132.9 h."""
    name = f"repair_{preset}"
    phases = range(1, int(number(TABLE, name, "phases")) + 1)
    return Phases(
        shares=tuple(number(TABLE, name, f"share_{phase}") for phase in phases),
        means_s=tuple(number(TABLE, name, f"mean_h_{phase}") * HOUR_S for phase in phases),
    )


def restart_parts(scenario: Scenario, planned: Planned) -> dict[str, float]:
    """Seconds of each part of a restart; they add up to the time from a complete set of nodes to the first request.

    Every node loads its own share of the weights at `load_bandwidth_gb_per_s`. Checked: 753 GB on one node at the
    catalog's figures give 320 s, 330 s with detection, where 348 s were observed.
    """
    parts = {}
    for part in RESTART_PARTS:
        given = getattr(scenario.reliability.restart, part)
        if given is not None:
            parts[part] = float(given)
        elif part == "weight_load_s":
            parts[part] = node_weight_bytes(planned) / (load_bandwidth_gb_per_s(scenario) * GB)
        else:
            parts[part] = number(TABLE, "restart", part)
    return parts


def load_bandwidth_gb_per_s(scenario: Scenario) -> float:
    """Rate at which one node loads weights: the scenario's, or the catalog's."""
    chosen = scenario.reliability.restart.load_bandwidth_gb_per_s
    return number(TABLE, "restart", "load_bandwidth_gb_per_s") if chosen is None else chosen


def node_weight_bytes(planned: Planned) -> float:
    """Weight bytes that one node loads."""
    layout = planned.layout
    return planned.memory.weight_bytes * min(layout.gpus_per_node, layout.num_gpus)
