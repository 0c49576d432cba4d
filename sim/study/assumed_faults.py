"""Which rows of the catalog stand behind the faults of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sim.catalog.tables import Fact, table
from sim.scenario.reliability import Reliability
from sim.simulation.faults import RESTART_PARTS
from sim.simulation.fleet_plan import NODE_CLASSES

AREA: Final = "reliability"
OF_ENGINES: Final = ("engine_crash", "fail_slow")
OF_FLEET: Final = ("hang", "bad_repair", "frailty", "engine_upgrade", "driver_upgrade")


def fault_facts(chosen: Reliability) -> Iterator[tuple[str, Fact]]:
    """Names and rows that the section leaves to the catalog; none where nothing fails.

    Of a class that is only injected the rate is none of them.
    """
    if not (chosen.faults or chosen.inject):
        return
    injected = {fault.class_ for fault in chosen.inject}
    if chosen.faults and chosen.node_faults_per_1000_node_days is None:
        yield from _rows("node_faults")
    for name in (*(f"fault_{name}" for name in NODE_CLASSES), *OF_ENGINES):
        if chosen.faults or name.removeprefix("fault_") in injected:
            yield from _of_class(name, chosen)
    for name in OF_FLEET if chosen.faults else ("hang",) if injected - {None} else ():
        yield from _rows(name)
    if None in injected or "repair" in chosen.model_fields_set:
        yield from _rows(f"repair_{chosen.repair}")
    parts = tuple(_restart(chosen))
    yield from ((key, fact) for key, fact in _rows("restart") if key.rpartition(".")[2] in parts)


def _of_class(name: str, chosen: Reliability) -> Iterator[tuple[str, Fact]]:
    how_often = () if chosen.faults else ("rate_", "mtbf_", "per_replica_")
    unused = (*how_often, *(("repair_",) if "repair" in chosen.model_fields_set else ()))
    yield from ((key, fact) for key, fact in _rows(name) if not key.rpartition(".")[2].startswith(unused))


def _rows(subject: str) -> Iterator[tuple[str, Fact]]:
    for parameter, fact in table(AREA)[subject].items():
        yield f"{AREA}.{subject}.{parameter}", fact


def _restart(chosen: Reliability) -> Iterator[str]:
    """Parts of detection and restart that the scenario leaves to the catalog."""
    if chosen.detect_s is None:
        yield "detect_s"
    for part in RESTART_PARTS:
        if getattr(chosen.restart, part) is None:
            yield "load_bandwidth_gb_per_s" if part == "weight_load_s" else part
