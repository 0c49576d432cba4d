"""What one lost GPU takes down: the same load with one node failing in the middle of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.engine.cluster import Outcome
from sim.errors import SimError
from sim.scenario.scenario import Scenario
from sim.simulation.build import build
from sim.simulation.check import check
from sim.stats.mean import mean_interval
from sim.study.metric import Metric
from sim.study.replicate import replicate
from sim.study.workers import Progress

FAULT_AT = 0.5  # of the measured window


def one_lost_gpu(
    scenario: Scenario, *, spare_nodes: int = 1, workers: int = 0, progress: Progress | None = None
) -> list[Metric]:
    """GPUs taken out of service, length of the outage, killed requests and lost tokens, per fault.

    Any GPU of a node takes the node with it, and any node its replica. The first node of the first replica fails in
    the middle of the measured window; `spare_nodes` stand by, so the outage is detection and restart.

    Raises
    ------
    SimError : nothing fits, or the run is too short to see the fault and the replica come back.
    """
    found = check(scenario)
    if found.built is None:
        raise SimError(str(found.infeasible))
    run = scenario.run
    at_s = run.warmup_s + FAULT_AT * (run.horizon_s - run.warmup_s)
    faulty = scenario.with_(
        {
            "reliability.faults": False,
            "reliability.inject": [{"at_s": at_s, "node": 0}],
            "deployment.spare_nodes": max(spare_nodes, scenario.deployment.spare_nodes),
        }
    )
    built = build(faulty)
    assert built.fleet is not None
    recovery = built.fleet.recovery
    needed_s = recovery.detect_s + recovery.restart_s[0]
    if at_s + needed_s >= run.horizon_s:
        raise SimError(
            f"the outage of {needed_s:.0f} s does not end before run.horizon_s = {run.horizon_s:g}: simulate longer"
        )
    outcomes = replicate(faulty, workers=workers, progress=progress)
    if not all(outcome.outages for outcome in outcomes):
        raise SimError(f"the load ends before the fault at {at_s:.0f} s: send more requests or shorten run.horizon_s")
    return list(_figures(scenario.name, built.planned.layout.num_gpus, outcomes))


def _figures(option: str, gpus: int, outcomes: Sequence[Outcome]) -> Iterator[Metric]:
    yield Metric(option, "gpus_taken_down", "GPUs", float(gpus))
    columns = {
        ("outage_s", "s"): [_down_s(outcome) for outcome in outcomes],
        ("killed_requests_per_fault", "requests"): [float(outcome.record.totals.killed) for outcome in outcomes],
        ("lost_output_tokens_per_fault", "tokens"): [float(outcome.record.totals.lost_tokens) for outcome in outcomes],
        ("failed_requests_per_fault", "requests"): [
            float(outcome.record.totals.failed + outcome.record.totals.abandoned) for outcome in outcomes
        ],
    }
    for (name, unit), values in columns.items():
        estimate = mean_interval(values)
        yield Metric.of(option, name, unit, estimate)


def _down_s(outcome: Outcome) -> float:
    """Replica-seconds out of service in one run."""
    return sum((outcome.end_s if up is None else float(up)) - float(down or 0.0) for _, down, up in outcome.outages)
