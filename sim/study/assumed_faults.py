"""Which rows of the catalog stand behind the faults of a fleet, or of one run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from sim.catalog.tables import Fact, table
from sim.faults.fleet_plan import FleetPlan
from sim.scenario.reliability import Reliability
from sim.scenario.scenario import Scenario
from sim.scenario.section import Section
from sim.simulation.fault_classes import NODE_CLASSES
from sim.simulation.faults import RESTART_PARTS, TABLE, USUAL_REPAIR
from sim.simulation.fleet_plan import fleet_plan

OF_ENGINES: Final = ("engine_crash", "fail_slow")
SECTIONS: Final = ("early_faults", "common_cause", "lemons", "parts", "elastic_ep")
HOW_OFTEN: Final = ("rate_", "mtbf_", "per_replica_")
OF_RENT: Final = ("provision_s", "success_prob")
REPLACED: Final = {
    "hang": ("detect_s", "detect_hang_s"),
    "engine_crash": ("mtbf_days", "engine_crashes_per_replica_month"),
    "fail_slow": ("per_replica_month", "slow_phases_per_replica_month"),
    "bad_repair": ("probability", "bad_repair_frac"),
}


def run_facts(scenario: Scenario) -> Iterator[tuple[str, Fact]]:
    """Names and rows behind the faults of a run; none where nothing fails.

    Of a class that is only injected the rate is none of them.
    """
    chosen = scenario.reliability
    injected = {fault.class_ for fault in chosen.inject}
    if chosen.faults:
        yield from fleet_facts(scenario, fleet_plan(scenario))
    elif injected:
        for name in injected - {None}:
            subject = name if name in OF_ENGINES else f"fault_{name}"
            yield from ((key, fact) for key, fact in _class_rows(str(subject), chosen) if not _is(key, HOW_OFTEN))
        if injected - {None}:
            yield from _rows("hang", _replaced("hang", _given(chosen)))
        yield from _restart(chosen)
    if None in injected:
        yield from _rows(f"repair_{chosen.repair or USUAL_REPAIR}")


def fleet_facts(scenario: Scenario, plan: FleetPlan) -> Iterator[tuple[str, Fact]]:
    """Names and rows behind years of a fleet that the scenario does not replace."""
    chosen = scenario.reliability
    given = _given(chosen)
    own_rates = any(own.rate_per_1000_node_days is not None for own in chosen.fault_classes.values())
    if "node_faults_per_1000_node_days" not in given and not own_rates:
        yield from _rows("node_faults")
    if chosen.repair is not None:
        yield from _rows(f"repair_{chosen.repair}")
    for name in (*(f"fault_{kind}" for kind in NODE_CLASSES), *OF_ENGINES):
        yield from _class_rows(name, chosen)
    for name in ("hang", "bad_repair"):
        yield from _rows(name, _replaced(name, given))
    if not chosen.equal_nodes:
        yield from _rows("frailty")
    yield from _restart(chosen)
    for name in (name for name in SECTIONS if getattr(chosen, name) is not None):
        yield from _rows(name, _given(getattr(chosen, name)))
    if plan.common.site_per_s:
        yield from _rows("site")
    if plan.spares.rent_success:
        yield from ((key, fact) for key, fact in _rows("autoscaler") if _is(key, OF_RENT))
    for operation in plan.operations:
        yield from _rows(operation.name, _given((scenario.operations or {}).get(operation.name)))


def _class_rows(name: str, chosen: Reliability) -> Iterator[tuple[str, Fact]]:
    """Rows of one class of faults."""
    if name in OF_ENGINES:
        yield from _rows(name, _replaced(name, _given(chosen)))
        return
    section = next((own for kind, own in chosen.fault_classes.items() if f"fault_{kind}" == name), None)
    preset = {"repair_mean_h", "repair_sigma"} if chosen.repair is not None else set()
    yield from _rows(name, _given(section) | preset)


def _restart(chosen: Reliability) -> Iterator[tuple[str, Fact]]:
    """Parts of detection and restart that are left to the catalog."""
    given = _given(chosen) | _given(chosen.restart)
    parts = {
        "load_bandwidth_gb_per_s" if part == "weight_load_s" else part for part in RESTART_PARTS if part not in given
    }
    read = (parts | {"detect_s"}) - given
    yield from ((key, fact) for key, fact in _rows("restart") if key.rpartition(".")[2] in read)


def _given(section: Section | None) -> set[str]:
    """Keys that a section sets."""
    if section is None:
        return set()
    return {name for name in type(section).model_fields if getattr(section, name) is not None}


def _replaced(name: str, given: set[str]) -> set[str]:
    """Parameters of a subject that a key of the scenario stands for."""
    parameter, key = REPLACED[name]
    return {parameter} if key in given else set()


def _is(key: str, beginnings: tuple[str, ...]) -> bool:
    """Whether the parameter of a row begins with one of these."""
    return key.rpartition(".")[2].startswith(beginnings)


def _rows(subject: str, without: Collection[str] = ()) -> Iterator[tuple[str, Fact]]:
    for parameter, fact in table(TABLE).get(subject, {}).items():
        if parameter not in without:
            yield f"{TABLE}.{subject}.{parameter}", fact
