"""One replication of a queue, built from the engine, and the figures that closed forms speak of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from simpy import Event

from sim.engine.cluster import Cluster, Load
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits, RouterPolicy
from sim.engine.recorder import ROW
from sim.faults.fleet_plan import FleetPlan
from sim.simulation.run_faults import run_faults
from sim.streams import Streams
from sim.study.verify.law import AffineLaw
from sim.study.verify.lengths import Lengths
from sim.study.workers import Progress
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.process import ArrivalProcess
from sim.workload.request import RequestDraw

AMPLE = 1 << 40  # tokens; no limit binds
PATIENT = ClientPolicy(max_retries=1 << 30, retry_backoff_s=0.0, request_timeout_s=1e12)
Figures = dict[str, float]


@dataclass(slots=True)
class Tally:
    """What arrived in the measured window."""

    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """A cluster whose only limits are seats and step time.

    Attributes
    ----------
    law : step time.
    lengths : law of the output lengths, or of the prompt lengths where `prompts` is set (one output token then).
    seats : `max_num_seqs`.
    arrivals : open load; its rate is ignored under closed load.
    concurrency, think_s : closed load, None for open.
    warmup_s, measured_s, tail_s : requests count that arrive in the measured window; the run goes on for the tail, so
        that they end. Time averages run over the measured window.
    fleet : nodes that fail; None for none.
    levels_s : waits and sojourns whose exceedance is counted.
    """

    law: AffineLaw
    lengths: Lengths
    warmup_s: float
    measured_s: float
    tail_s: float = 0.0
    seats: int = 1
    arrivals: ArrivalProcess = field(default_factory=lambda: Poisson(1.0))
    concurrency: int | None = None
    think_s: float = 0.0
    prompts: bool = False
    replicas: int = 1
    router: RouterPolicy = "least_outstanding"
    fleet: FleetPlan | None = None
    levels_s: tuple[float, ...] = ()
    coalesce: bool = True

    def plan(self) -> ClusterPlan:
        """The engine's plan."""
        limits = EngineLimits(
            max_num_seqs=self.seats,
            max_num_batched_tokens=AMPLE,
            block_size=1024,
            num_kv_blocks=AMPLE,
            max_model_len=AMPLE,
        )
        return ClusterPlan(
            limits=limits,
            replicas=self.replicas,
            nodes_per_replica=1,
            horizon_s=self.warmup_s + self.measured_s + self.tail_s,
            warmup_s=self.warmup_s,
            router=self.router,
            client=PATIENT,
            record_requests=True,
            coalesce=self.coalesce,
        )

    def draws(self, streams: Streams, tally: Tally) -> Iterator[RequestDraw]:
        """Requests without end, from the streams `arrivals` and `lengths`."""
        rng = streams.generator("lengths")
        for times_s in self.arrivals.blocks(streams):
            lengths = self.lengths.draw(rng, times_s.size)
            inside = (times_s >= self.warmup_s) & (times_s < self.warmup_s + self.measured_s)
            tally.requests += int(inside.sum())
            tally.tokens += int(lengths[inside].sum())
            for at_s, tokens in zip(times_s.tolist(), lengths.tolist(), strict=True):
                yield RequestDraw(at_s, tokens, 1) if self.prompts else RequestDraw(at_s, 1, tokens)

    def replication(self, streams: Streams, progress: Progress | None = None) -> Figures:
        """Run once.

        Returns
        -------
        number : requests in the system, averaged over the measured time.
        little_s : that over the arrival rate (Little's law); requests unfinished at the end do not bias it.
        completed_rps : completions per second.
        wait_s, sojourn_s, square_s2 : per request, the queueing time, E2EL, and its square.
        waited : share that queued; long_s : E2EL of requests longer than the mean.
        wait>t, sojourn>t : share above each level.
        surplus_requests, surplus_tokens, surplus_length : requests, tokens, and tokens per request that arrived in the
        measured window, over what was to be expected, less one.
        """
        tally = Tally()
        load = Load(self.draws(streams, tally), self.concurrency, self.think_s)
        plan = self.plan()
        if self.fleet is not None:
            plan = replace(plan, transitions=run_faults(self.fleet, streams, plan.horizon_s).transitions)
        cluster = Cluster(plan, self.law, load, streams)
        marks = [_mark(cluster, at_s) for at_s in (self.warmup_s, self.warmup_s + self.measured_s)]
        record = cluster.run(progress).record
        (area_0, completed_0), (area_1, completed_1) = (mark or _state(cluster) for mark in marks)
        number = (area_1 - area_0) / self.measured_s
        rate = self.arrivals.rate_rps
        expected = rate * self.measured_s
        figures = {
            "number": number,
            "little_s": number / rate,
            "completed_rps": (completed_1 - completed_0) / self.measured_s,
            "surplus_requests": tally.requests / expected - 1.0,
            "surplus_tokens": tally.tokens / (expected * self.lengths.mean_tokens) - 1.0,
            "surplus_length": tally.tokens / (max(1, tally.requests) * self.lengths.mean_tokens) - 1.0,
        }
        return figures | self._per_request(np.array(record.rows or [], dtype=np.float64).reshape(-1, len(ROW)))

    def _per_request(self, rows: npt.NDArray[np.float64]) -> Figures:
        """Figures over the requests that arrived in the measured window."""
        arrival, wait, sojourn = (rows[:, ROW.index(name)] for name in ("arrival_s", "queue_s", "e2el_s"))
        inside = (arrival >= self.warmup_s) & (arrival < self.warmup_s + self.measured_s)
        wait, sojourn = wait[inside], sojourn[inside]
        if not inside.any():
            return {}
        tokens = rows[inside, ROW.index("input_tokens" if self.prompts else "output_tokens")]
        longer = sojourn[tokens > self.lengths.mean_tokens]
        means = {
            "wait_s": wait,
            "waited": wait > 0.0,
            "sojourn_s": sojourn,
            "square_s2": sojourn**2,
            **({"long_s": longer} if longer.size else {}),
            **{f"wait>{level:.6g}": wait > level for level in self.levels_s},
            **{f"sojourn>{level:.6g}": sojourn > level for level in self.levels_s},
        }
        return {key: float(values.mean()) for key, values in means.items()}


def _state(cluster: Cluster) -> tuple[float, float]:
    """(request-seconds so far, requests completed so far)."""
    return cluster.record.in_system.integral(cluster.env.now), float(cluster.record.totals.completed)


def _mark(cluster: Cluster, at_s: float) -> list[float]:
    """Filled with the state of the cluster at a time, once that time has come; empty at the very end of a run."""
    seen: list[float] = []

    def look(_event: Event) -> None:
        seen.extend(_state(cluster))

    event = cluster.env.timeout(at_s)
    assert event.callbacks is not None
    event.callbacks.append(look)
    return seen
