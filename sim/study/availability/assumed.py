"""The assumed inputs behind an availability."""

from __future__ import annotations

from collections.abc import Iterator

from sim.catalog.tables import Fact, table
from sim.faults.fleet_plan import FleetPlan
from sim.scenario.scenario import Scenario
from sim.scenario.section import Section
from sim.simulation.fault_classes import NODE_CLASSES
from sim.simulation.faults import RESTART_PARTS, TABLE
from sim.study.assumed import AssumedInput, assumed_only

SECTIONS = ("early_faults", "common_cause", "lemons", "parts", "elastic_ep")


def assumed_inputs(scenario: Scenario, plan: FleetPlan) -> tuple[AssumedInput, ...]:
    """Rows of the catalog with status `assumed` that the scenario does not replace."""
    return assumed_only(_facts(scenario, plan))


def _facts(scenario: Scenario, plan: FleetPlan) -> Iterator[tuple[str, Fact]]:
    chosen = scenario.reliability
    preset = chosen.repair is not None
    if preset:
        yield from _rows(f"repair_{chosen.repair}", ())
    replaced = {"repair_mean_h", "repair_sigma"} if preset else set()
    for kind in NODE_CLASSES:
        yield from _rows(f"fault_{kind}", tuple(replaced | _given(chosen.fault_classes.get(kind))))
    if not chosen.equal_nodes:
        yield from _rows("frailty", ())
    for name in ("restart", "hang", "bad_repair", "engine_crash", "fail_slow"):
        yield from _rows(name, _unused(name, _given(chosen) | _given(chosen.restart)))
    for name in (name for name in SECTIONS if getattr(chosen, name) is not None):
        yield from _rows(name, tuple(_given(getattr(chosen, name))))
    if plan.common.site_per_s:
        yield from _rows("site", ())
    if plan.spares.rent_success:
        yield from _rows("autoscaler", ("interval_s", "scale_up_cooldown_s", "scale_down_cooldown_s"))
    for operation in plan.operations:
        yield from _rows(operation.name, tuple(_given((scenario.operations or {}).get(operation.name))))


def _given(section: Section | None) -> set[str]:
    """Keys that a section sets."""
    if section is None:
        return set()
    return {name for name in type(section).model_fields if getattr(section, name) is not None}


def _unused(name: str, given: set[str]) -> tuple[str, ...]:
    """Parameters that the scenario replaces, or that nobody reads."""
    if name == "restart":
        parts = ("load_bandwidth_gb_per_s" if part == "weight_load_s" else part for part in RESTART_PARTS)
        read = {*parts, "detect_s", "cold_compile_s"} - given
        return tuple(parameter for parameter in table(TABLE)[name] if parameter not in read)
    replaced = {
        "hang": ("detect_s", "detect_hang_s"),
        "engine_crash": ("mtbf_days", "engine_crashes_per_replica_month"),
        "fail_slow": ("per_replica_month", "slow_phases_per_replica_month"),
        "bad_repair": ("probability", "bad_repair_frac"),
    }[name]
    return replaced[:1] if replaced[1] in given else ()


def _rows(name: str, without: tuple[str, ...]) -> Iterator[tuple[str, Fact]]:
    for parameter, fact in table(TABLE).get(name, {}).items():
        if parameter not in without:
            yield f"{TABLE}: {name}.{parameter}", fact
