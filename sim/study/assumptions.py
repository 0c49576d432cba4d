"""The assumed inputs that a result depends on: every one is listed in its report."""

from __future__ import annotations

from collections.abc import Iterator

from sim.catalog import models
from sim.catalog.tables import Fact, table
from sim.scenario.scenario import Scenario
from sim.simulation.engine import node_of
from sim.simulation.memory import Planned
from sim.study.assumed import AssumedInput, assumed_only
from sim.study.money import Money


def assumed_inputs(scenario: Scenario, planned: Planned, money: Money) -> tuple[AssumedInput, ...]:
    """Assumed rows of the catalog behind hardware, engine, model, faults, workload and prices of one scenario."""
    return assumed_only(_facts(scenario, planned, money))


def _facts(scenario: Scenario, planned: Planned, money: Money) -> Iterator[tuple[str, Fact]]:
    subjects = [
        ("gpus", scenario.hardware.gpu),
        ("nodes", node_of(scenario)),
        ("engines", scenario.deployment.engine.name),
    ]
    if scenario.reliability.faults:
        subjects += [("reliability", name) for name in table("reliability")]
    if scenario.workload.preset is not None:
        subjects.append(("workloads", scenario.workload.preset))
    for area, subject in subjects:
        for parameter, fact in table(area)[subject].items():
            yield f"{area}.{subject}.{parameter}", fact
    yield from _model(planned)
    for item in money.inputs:
        if item.fact is not None:
            yield item.key, item.fact


def _model(planned: Planned) -> Iterator[tuple[str, Fact]]:
    row = models.rows().get(planned.spec.name)
    if row is not None and row["status"] == "assumed":
        yield (
            f"models.{row['name']}",
            Fact(row["name"], "-", None, None, row["source"], row["date"], "assumed", row["note"]),
        )
