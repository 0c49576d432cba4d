"""What was simulated, in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from sim.report.figures import plural
from sim.scenario.scenario import Scenario
from sim.scenario.sessions import SessionsSection
from sim.simulation.memory import Planned


@dataclass(frozen=True, slots=True)
class Headline:
    """A scenario in four lines.

    Attributes
    ----------
    system : model, weights, GPUs.
    layout : parallel layout, replicas, engine.
    load : what the clients send.
    extent : simulated time, replications, seed.
    """

    system: str
    layout: str
    load: str
    extent: str


def headline(scenario: Scenario, planned: Planned) -> Headline:
    """The headline of a scenario with its memory plan."""
    deployment = scenario.deployment
    gpus = planned.layout.num_gpus * deployment.replicas
    nodes = planned.layout.num_nodes * deployment.replicas
    spares = f", {plural(deployment.spare_nodes, 'spare node')}" if deployment.spare_nodes else ""
    engine = f"{planned.memory.kv_cache_dtype} cache, {deployment.engine.name}"
    run = scenario.run
    return Headline(
        system=f"{planned.spec.name} in {planned.memory.weights} on {gpus:,} x {scenario.hardware.gpu}",
        layout=f"{plural(deployment.replicas, 'replica')} of {planned.layout}, {engine}, "
        f"{plural(nodes, 'node')}{spares}",
        load=load_words(scenario),
        extent=f"{plural(run.replications, 'replication')} of {run.horizon_s:,.4g} s, "
        f"measured after {run.warmup_s:,.4g} s, seed {run.seed}",
    )


def load_words(scenario: Scenario) -> str:
    """What the clients send, as `2.5 requests/s, preset chat`."""
    workload = scenario.workload
    if workload.sessions is not None:
        return _session_words(workload.sessions, workload.preset or PurePath(getattr(workload.trace, "path", "")).name)
    if workload.trace is not None:
        warp = f", time warp {workload.trace.time_warp:g}" if workload.trace.time_warp != 1.0 else ""
        return f"replay of {PurePath(workload.trace.path).name}{warp}{_callers(workload.arrivals)}"
    lengths = "" if workload.preset is None else f", preset {workload.preset}"
    arrivals = workload.arrivals
    if arrivals is None:
        return f"preset {workload.preset} at its own rate"
    rate_rps = getattr(arrivals, "rate_rps", None)
    process = "" if arrivals.process == "preset" else f", {arrivals.process} arrivals"
    if callers := _callers(arrivals):
        return callers.removeprefix(", ") + lengths
    if rate_rps is None:
        return f"{arrivals.process} arrivals{lengths}"
    return f"{rate_rps:.4g} requests/s{process}{lengths}"


def _session_words(sessions: SessionsSection, origin: str) -> str:
    if sessions.concurrency is not None:
        return f"{plural(sessions.concurrency, 'session')} at a time, {origin}"
    rate = sessions.rate_per_s if sessions.rate_per_s is not None else getattr(sessions.arrivals, "rate_rps", None)
    return f"sessions, {origin}" if rate is None else f"{rate:.4g} sessions/s, {origin}"


def limits_words(scenario: Scenario) -> str:
    """The service level, as `TTFT <= 2 s and TPOT <= 100 ms`; empty when there is none."""
    named = (("TTFT", scenario.slo.ttft_ms), ("TPOT", scenario.slo.tpot_ms), ("E2EL", scenario.slo.e2el_ms))
    return " and ".join(f"{name} ≤ {_milliseconds(limit)}" for name, limit in named if limit is not None)


def _milliseconds(limit_ms: float) -> str:
    return f"{limit_ms / 1000:g} s" if limit_ms >= 1000 else f"{limit_ms:g} ms"


def _callers(arrivals: object) -> str:
    concurrency = getattr(arrivals, "concurrency", None)
    return "" if concurrency is None else f", {plural(concurrency, 'caller')} in a closed loop"
