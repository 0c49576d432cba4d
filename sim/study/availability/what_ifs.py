"""Changes of a scenario that show what its availability rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sim.catalog.tables import fact
from sim.scenario.scenario import Scenario
from sim.simulation.faults import TABLE, repair_law
from sim.stats.estimate import Estimate
from sim.units import HOUR_S

REPAIR: Final = "reliability.repair"


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One change, in the same random streams.

    Attributes
    ----------
    name : in words.
    changes : of the scenario's keys.
    up_frac, short_h : share of time with the replicas needed, and hours per year without.
    """

    name: str
    changes: Mapping[str, Any]
    up_frac: Estimate
    short_h: Estimate


def changes_of(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """What to change, by name in words; what the scenario has already is left out."""
    chosen = scenario.reliability
    trace_h, managed_h = (repair_law(preset).mean_s / HOUR_S for preset in ("trace", "managed"))
    rate = fact(TABLE, "node_faults", "rate_per_1000_node_days")
    spares = scenario.deployment.spare_nodes
    found: dict[str, dict[str, Any]] = {
        f"node faults at {rate.low:g} per 1,000 node-days": {"reliability.node_faults_per_1000_node_days": rate.low},
        f"node faults at {rate.high:g} per 1,000 node-days": {"reliability.node_faults_per_1000_node_days": rate.high},
        f"repair as in the StepFun trace (mean {trace_h:.3g} h)": {REPAIR: "trace"},
        f"resets and reboots only (mean {managed_h:.3g} h)": {REPAIR: "managed"},
    }
    if chosen.repair is not None:
        found = {name: changes for name, changes in found.items() if changes.get(REPAIR) != chosen.repair}
    if chosen.repair_crews != 1:
        found["one repair at a time"] = {"reliability.repair_crews": 1}
    if chosen.common_cause is None:
        found["shocks of a rack and outages of the site"] = {"reliability.common_cause": {}}
    else:
        found["no shocks, no outages of the site"] = {"reliability.common_cause": None}
    if spares and chosen.spares.powered:
        found["cold spares"] = {"reliability.spares.powered": False}
    if chosen.spares.rent is None:
        found["nodes rented while a replica waits"] = {"reliability.spares.rent": {}}
    found["no engine crashes"] = {"reliability.engine_crashes_per_replica_month": 0.0}
    if scenario.operations is None or scenario.operations:
        found["no planned work"] = {"operations": {}}
    return found
