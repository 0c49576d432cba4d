"""Sentences a reader must know before trusting the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.engine.cluster import Outcome
from sim.scenario.scenario import Scenario
from sim.simulation.check import Check

FEW_REPLICATIONS = 10
LONG_WARMUP_FRAC = 0.5


def notes(scenario: Scenario, found: Check, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Warnings of one run, most important first."""
    yield from _requests(found, outcomes)
    if found.built is not None:
        yield from found.built.law.warnings()
    if len(outcomes) == 1:
        yield "One replication gives no interval; set run.replications to at least 10."
    elif len(outcomes) < FEW_REPLICATIONS:
        yield f"{len(outcomes)} replications give wide intervals; {FEW_REPLICATIONS} or more are usual."
    if scenario.run.warmup_s == 0.0 and scenario.run.horizon_s > 0.0:
        yield "Nothing is cut as warm-up, so the empty start is part of every figure."
    yield from _faults(scenario, outcomes)


def _requests(found: Check, outcomes: Sequence[Outcome]) -> Iterator[str]:
    refused = sum(outcome.record.totals.refused for outcome in outcomes)
    if refused:
        longest = max(outcome.longest_refused_tokens for outcome in outcomes)
        yield (
            f"{refused:,} requests were refused because they are longer than the "
            f"{found.planned.longest_request_tokens:,} tokens that the engine admits; the longest has {longest:,}."
        )
    failed = sum(outcome.record.totals.failed + outcome.record.totals.abandoned for outcome in outcomes)
    if failed:
        yield f"{failed:,} requests failed or were abandoned after all retries; they are in no latency figure."


def _faults(scenario: Scenario, outcomes: Sequence[Outcome]) -> Iterator[str]:
    faults = sum(outcome.record.totals.node_faults for outcome in outcomes)
    idle = sum(outcome.idle_hits for outcome in outcomes)
    if scenario.reliability.faults and not faults and not scenario.reliability.inject:
        yield (
            "No node failed in the simulated time: failures come days apart, so this run says nothing about them. "
            "Inject one (reliability.inject) to see what it does."
        )
    if idle:
        yield f"{idle} injected faults met a node that was not in service and did nothing."
