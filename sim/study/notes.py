"""Sentences a reader must know before trusting the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from sim.engine.cluster import Outcome
from sim.scenario.arrivals import PresetArrivals, ProfileArrivals
from sim.scenario.scenario import Scenario
from sim.simulation.check import Check
from sim.simulation.engine_rules import marked
from sim.simulation.roles import roles_of
from sim.simulation.step_times import step_caveats
from sim.study.pile_notes import pile_notes
from sim.study.validate.known import was_compared
from sim.units import DAY_S, HOUR_S
from sim.workload.arrivals.replay import TraceArrivals as ReplayedArrivals
from sim.workload.mix import Mix

FEW_REPLICATIONS = 10
UNFINISHED_FRAC = 0.05  # of the measured arrivals; below it, those under way at the end hardly move a percentile


def notes(scenario: Scenario, found: Check, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Warnings of one run, most important first."""
    yield from _requests(found, outcomes)
    yield from pile_notes(scenario, outcomes)
    yield from _window(scenario, outcomes)
    yield from _cut_trace(scenario, found, outcomes)
    yield from _season(scenario)
    yield from _price(scenario)
    yield from _speculation(found)
    yield from _never_compared(scenario)
    yield from _extrapolation(scenario, found, outcomes)
    yield from _replications(scenario, outcomes)
    yield from _faults(scenario, outcomes)


def _never_compared(scenario: Scenario) -> Iterator[str]:
    """Systems of which nothing served was held against the simulator, unless they name a calibration of their own."""
    for role in roles_of(scenario):
        engine, gpu = role.scenario.deployment.engine, role.scenario.hardware.gpu
        own = engine.calibration is not None or engine.step_times is not None
        if not own and not was_compared(role.planned.spec.name, gpu, engine.name):
            yield (
                f"No measurement of {role.planned.spec.name} served on {gpu} with {engine.name} was compared with "
                "this simulator: figures are carried over from other systems (docs/validation.md says how well those "
                "are met)."
            )
            return


def _extrapolation(scenario: Scenario, found: Check, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Where the step-time law left the range of its measurements, at the busiest sampled instant and mean context."""
    assert found.built is not None
    cluster = found.built.cluster
    if cluster.decode is not None:
        yield from _extrapolation_of_pools(scenario, found, outcomes)
        return
    ranks = cluster.replicas * cluster.limits.data_parallel_size
    busiest = max(row[1] for outcome in outcomes for row in outcome.record.timeline)
    held = sum(outcome.record.totals.kv_token_s for outcome in outcomes)
    running = sum(outcome.record.totals.sequence_s for outcome in outcomes)
    caveats = step_caveats(
        found.built.law,
        found.built.served,
        cluster.limits,
        decode_seqs=ceil(busiest / ranks),
        context_tokens=round(held / running) if running else 0,
        prefill_tokens=round(found.built.workload.mean_input_tokens),
    )
    for caveat in caveats:
        yield f"Step times: {caveat}"
    for sentence in marked(scenario, found.planned.layout):
        yield f"Engine: {sentence}"


def _extrapolation_of_pools(scenario: Scenario, found: Check, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The same for two pools: prompts under the law of one, decoding under that of the other."""
    built = found.built
    assert built is not None
    assert built.decode_law is not None
    assert built.decode_served is not None
    assert built.cluster.decode is not None
    ranks = built.cluster.decode.replicas * built.cluster.decode.limits.data_parallel_size
    busiest = max(row[1] for outcome in outcomes for row in outcome.record.timeline)
    pools = [outcome.pools.totals for outcome in outcomes if outcome.pools is not None]
    running = sum(outcome.record.totals.sequence_s for outcome in outcomes)
    context = round(sum(pool.decode_kv_token_s for pool in pools) / running) if running else 0
    prompt = round(built.workload.mean_input_tokens)
    prefill = step_caveats(
        built.law, built.served, built.cluster.limits, decode_seqs=0, context_tokens=0, prefill_tokens=prompt
    )
    decode = step_caveats(
        built.decode_law,
        built.decode_served,
        built.cluster.decode.limits,
        decode_seqs=ceil(busiest / ranks),
        context_tokens=context,
        prefill_tokens=0,
    )
    for name, caveats in (("prefill", prefill), ("decode", decode)):
        for caveat in caveats:
            yield f"Step times of the {name} pool: {caveat}"
    for role in roles_of(scenario):
        for sentence in marked(role.scenario, role.planned.layout):
            yield f"Engine of the {role.name} pool: {sentence}"


def _replications(scenario: Scenario, outcomes: Sequence[Outcome]) -> Iterator[str]:
    trace, count = scenario.workload.trace, len(outcomes)
    if trace is not None:
        varied = trace.dequantise_s is not None or trace.thin_frac < 1.0 or trace.replicate > 1
        if count > 1 and not varied:
            yield "Every replication replays the same requests: the intervals show no variation of the load."
        elif count == 1:
            yield "The trace is replayed once, so there are no intervals: this is what these requests met, no forecast."
        return
    if count == 1:
        yield f"One replication gives no interval; set run.replications to at least {FEW_REPLICATIONS}."
    elif all(outcome.record.totals == outcomes[0].record.totals for outcome in outcomes):
        yield "Every replication came out the same, so the intervals have no width and say nothing."
    elif count < FEW_REPLICATIONS:
        yield f"{count} replications give wide intervals; {FEW_REPLICATIONS} or more are usual."
    if scenario.run.warmup_s == 0.0:
        yield "Nothing is cut as warm-up, so the empty start is part of every figure."


def _requests(found: Check, outcomes: Sequence[Outcome]) -> Iterator[str]:
    refused = sum(outcome.record.totals.refused for outcome in outcomes)
    if refused:
        longest = max(outcome.longest_refused_tokens for outcome in outcomes)
        yield (
            f"{refused:,} request{'s were' if refused > 1 else ' was'} refused as longer than the "
            f"{found.longest_request_tokens:,} tokens that the engine admits; the longest has {longest:,}."
        )
    failed = sum(outcome.record.totals.failed + outcome.record.totals.abandoned for outcome in outcomes)
    if failed:
        yield f"{failed:,} requests failed or were abandoned after all retries: in no latency figure."


def _window(scenario: Scenario, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Where the measured window does not show what the load would come to."""
    early = sum(outcome.end_s <= scenario.run.warmup_s for outcome in outcomes)
    if early and scenario.run.warmup_s > 0.0:
        yield (
            f"In {early} of {len(outcomes)} replications the load ended before the warm-up of "
            f"{scenario.run.warmup_s:g} s: rates cover their whole run, latencies nothing of it; shorten run.warmup_s."
        )
    ended = [outcome for outcome in outcomes if outcome.end_s < scenario.run.horizon_s]
    waiting = max((_longest_queue(outcome) for outcome in ended), default=0)
    if waiting:
        yield (
            f"The load ended before run.horizon_s with up to {waiting:,} requests waiting, more than ran: what a load "
            "that goes on would come to is not seen here."
        )
    arrived = sum(outcome.record.totals.arrived - outcome.record.opened.arrived for outcome in outcomes)
    unfinished = sum(outcome.unfinished for outcome in outcomes)
    if unfinished > UNFINISHED_FRAC * arrived:
        yield (
            f"{unfinished:,} requests were under way at the end, where {arrived:,} arrived in the measured time: they "
            "are in no latency figure, which leans towards requests that end early; simulate longer."
        )


def _cut_trace(scenario: Scenario, found: Check, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A trace whose end lies beyond the horizon."""
    assert found.built is not None
    workload = found.built.workload
    arrivals = None if isinstance(workload, Mix) else workload.arrivals
    if isinstance(arrivals, ReplayedArrivals):
        rows, seen = len(arrivals.trace), max(outcome.record.totals.arrived for outcome in outcomes)
        if seen < rows and scenario.run.max_requests is None:
            yield (
                f"The run ends after {seen:,} of the {rows:,} requests of the trace: run.horizon_s "
                f"{scenario.run.horizon_s:g} is shorter than it."
            )


def _season(scenario: Scenario) -> Iterator[str]:
    """A load with a daily rhythm, simulated over less than whole days."""
    weekly = any(_follows_a_week(source.arrivals) for source in scenario.workload.sources.values())
    days = (scenario.run.horizon_s - scenario.run.warmup_s) / DAY_S
    if weekly and days != int(days):
        yield (
            f"The load follows the hours of a week, and {days:.3g} days of it are measured: rates and yearly costs are "
            "those of that time; measure whole days, or the whole week."
        )


def _follows_a_week(arrivals: object) -> bool:
    weekly = isinstance(arrivals, PresetArrivals) and arrivals.week_profile
    return weekly or (isinstance(arrivals, ProfileArrivals) and arrivals.preset is not None)


def _longest_queue(outcome: Outcome) -> int:
    """Most requests waiting at a sampled instant where they outnumber those running; 0 if hardly any ever did."""
    waiting = max((int(row[2]) for row in outcome.record.timeline if row[2] > row[1]), default=0)
    return waiting if waiting > UNFINISHED_FRAC * outcome.record.totals.arrived else 0


def _price(scenario: Scenario) -> Iterator[str]:
    """What changes the meaning of goodput and cost."""
    slo = scenario.slo
    no_limits = slo.ttft_ms is None and slo.tpot_ms is None and slo.e2el_ms is None
    if no_limits and not scenario.workload.has_limits:
        yield (
            "No service level is set (slo.ttft_ms, slo.tpot_ms, slo.e2el_ms): every completed request counts as good, "
            "so goodput, attainment and cost say nothing about latency."
        )
    for role in roles_of(scenario):
        layout = role.planned.layout
        gpus = layout.num_nodes * layout.gpus_per_node
        if gpus > layout.num_gpus:
            yield (
                f"Each {role.noun} leaves {gpus - layout.num_gpus} of the {gpus} GPUs of its nodes unused; "
                "they are paid for, and replicas share no node."
            )


def _speculation(found: Check) -> Iterator[str]:
    """What stands behind the tokens that a step puts out."""
    speculation = found.planned.speculation
    if not speculation.num_speculative_tokens:
        return
    kind = f"; {speculation.fact.note}" if speculation.fact is not None and speculation.fact.note else ""
    yield (
        f"Speculative decoding puts out {float(speculation.length):.4g} tokens per step ({speculation.origin}{kind}), "
        "the same for every request and step: how acceptance differs between requests is not in any percentile. "
        "All tokens of a step but one come with a gap of zero (ITL)."
    )


def _faults(scenario: Scenario, outcomes: Sequence[Outcome]) -> Iterator[str]:
    nodes = sum(outcome.node_faults for outcome in outcomes)
    engines = sum(strike.node is None and strike.replica is not None for o in outcomes for strike in o.strikes)
    idle = sum(outcome.idle_hits for outcome in outcomes)
    if scenario.reliability.faults and not nodes and not engines and not scenario.reliability.inject:
        yield (
            "No node failed in the simulated time: failures come days apart, so this run says nothing about them. "
            "Inject one (reliability.inject) to see what it does."
        )
    if nodes or engines:
        hours = sum(outcome.end_s for outcome in outcomes) / HOUR_S
        words = [f"{count:,} {noun}" for count, noun in ((nodes, "node faults"), (engines, "engine faults")) if count]
        yield (
            f"{' and '.join(words)} fell into {hours:.3g} simulated hours: throughput and cost per token are those of "
            "such a time, not of a year."
        )
    if idle:
        yield f"{idle} injected faults met a node that was not in service and did nothing."
