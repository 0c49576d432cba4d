"""How much a cluster delivers when it is never short of work: the scale of every load curve."""

from __future__ import annotations

from dataclasses import dataclass

from sim.errors import SimError
from sim.scenario.scenario import Scenario
from sim.simulation.check import Check, check
from sim.simulation.roles import gpus_in_service
from sim.study.rates import RATES
from sim.study.replicate import replicate
from sim.study.window import Window
from sim.study.workers import Progress

WARMUP_RESIDENCES = 5.0
MEASURED_RESIDENCES = 40.0
REPLICATIONS = 2


@dataclass(frozen=True, slots=True)
class Saturation:
    """Throughput with every seat asked for, all the time.

    Attributes
    ----------
    requests_rps : completed requests per second of the whole cluster.
    output_tokens_per_s : delivered output tokens per second.
    """

    requests_rps: float
    output_tokens_per_s: float


def saturation(scenario: Scenario, *, workers: int = 0, progress: Progress | None = None) -> Saturation:
    """Measure it by a closed loop with as many callers as the cluster has seats.

    Latencies under this load mean nothing; throughput is what the engine can do, service level or not.

    Raises
    ------
    SimError : the scenario cannot work, so there is nothing to saturate; or its load is a mix of tenants or a batch.
    """
    if scenario.workload.mix is not None or scenario.workload.batch is not None:
        raise SimError("tenants and batches have no single mix of requests to saturate a cluster with")
    found = check(scenario)
    if found.built is None or found.bound is None:
        raise SimError(str(found.infeasible))
    closed = _closed(scenario, found)
    outcomes = replicate(closed, workers=workers, progress=progress)
    gpus = gpus_in_service(scenario)
    windows = [Window.of(outcome, found.built.cluster, gpus) for outcome in outcomes]
    values = {rate.metric: rate.estimate(windows).value or 0.0 for rate in RATES}
    return Saturation(values["request_throughput_rps"], values["output_throughput_tokens_per_s"])


def _closed(scenario: Scenario, found: Check) -> Scenario:
    """The same mix from as many callers as there are seats, long enough for several generations of requests."""
    assert found.built is not None
    assert found.bound is not None
    cluster, bound = found.built.cluster, found.bound
    seats = cluster.limits.max_num_seqs * cluster.limits.data_parallel_size * cluster.replicas
    carried_rps = bound.requests_rps * cluster.replicas
    if cluster.decode is not None and found.decode_bound is not None:
        other = cluster.decode.limits
        seats += other.max_num_seqs * other.data_parallel_size * cluster.decode.replicas
        carried_rps = min(carried_rps, found.decode_bound.requests_rps * cluster.decode.replicas)
    residence_s = seats / carried_rps
    changes: dict[str, object] = {
        "workload.arrivals": {"process": "closed_loop", "concurrency": seats},
        "router.request_timeout_s": 1e9,
        "reliability": {"faults": False},
        "run.warmup_s": WARMUP_RESIDENCES * residence_s,
        "run.horizon_s": (WARMUP_RESIDENCES + MEASURED_RESIDENCES) * residence_s,
        "run.replications": REPLICATIONS,
        "run.max_requests": None,
        "run.record_requests": False,
    }
    if scenario.workload.trace is not None:
        changes["workload.trace.time_warp"] = None
    return scenario.with_(changes)
