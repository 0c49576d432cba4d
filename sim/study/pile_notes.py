"""Sentences about piles of jobs and the order in which tenants are served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.engine.cluster import Outcome
from sim.scenario.scenario import Scenario
from sim.study.piles import judged


def pile_notes(scenario: Scenario, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Warnings of a load with tenants or piles; none for any other."""
    tally = outcomes[0].record.tenants
    if tally is None:
        return
    for tenant, name in enumerate(tally.names):
        piles = [judged(outcome, tenant, scenario.run.horizon_s) for outcome in outcomes]
        if not any(pile.piles for pile in piles):
            continue
        if not any(pile.due for pile in piles):
            yield (
                f"No pile of {name} is due within run.horizon_s {scenario.run.horizon_s:g}: whether its jobs are on "
                "time is not seen here."
            )
        missed = sum(pile.jobs - pile.on_time for pile in piles)
        if missed:
            jobs = sum(pile.jobs for pile in piles)
            yield f"{missed:,} of {jobs:,} jobs of {name} that were due were not complete by their due time."
    policy = scenario.deployment.engine.scheduling_policy
    parts = {} if scenario.workload.mix is None else scenario.workload.mix.parts
    asked = any(part.priority is not None or part.batch is not None for part in parts.values())
    if len(tally.names) > 1 and asked and policy != "priority":
        yield (
            f"Priorities of tenants change nothing under deployment.engine.scheduling_policy {policy}: all wait in one "
            "queue."
        )
