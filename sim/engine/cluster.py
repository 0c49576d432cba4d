"""One run: clients, router and replicas on one SimPy clock."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simpy import Environment, Event
from simpy.core import StopSimulation
from simpy.events import URGENT

from sim.engine.autoscaler import Autoscaler
from sim.engine.client import Clients
from sim.engine.clock import LAST, WARMUP, Alarm, call_later
from sim.engine.conditions import Condition, Conditions
from sim.engine.course import Course
from sim.engine.decode_replica import DecodeReplica
from sim.engine.handover import Handover
from sim.engine.health import Health
from sim.engine.identities import check_identities
from sim.engine.pile_tally import Piles
from sim.engine.plan import AutoscalerPlan, ClusterPlan, ServiceLevel
from sim.engine.player import Player
from sim.engine.pool_totals import PoolOutcome
from sim.engine.pools import DecodePool
from sim.engine.prefill_replica import PrefillReplica
from sim.engine.prefix_cache import Shared
from sim.engine.recorder import Recorder
from sim.engine.replica import Replica
from sim.engine.request import Request
from sim.engine.retries import Retries
from sim.engine.router import Router
from sim.engine.session_tally import SessionTally
from sim.engine.tenant_limits import TenantLimits
from sim.engine.tenant_tally import TenantTally
from sim.engine.throttle import Throttled
from sim.engine.tiers import attach_tiers
from sim.errors import SimError
from sim.faults.strike import Strike
from sim.steptime.law import StepLaw
from sim.streams import Streams
from sim.workload.request import RequestDraw
from sim.workload.sessions.session import Session

SAMPLES = 1000
COLLECT_EVERY = 100_000  # requests are freed by reference count; looking for cycles as often as usual costs 7 %


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients send.

    Attributes
    ----------
    draws : requests or sessions in order of arrival.
    concurrency : requests in flight, or sessions under way, under closed load; None for open load.
    think_s : pause between a client's requests or sessions under closed load.
    tenants : names of the parts of a mixture, which draws name by index; empty where all is one load.
    slos : limits of each tenant.
    piles : (tenant, pile) of every pile of jobs released before the horizon.
    throttled : parts with a bound of their own on what is under way, beside the open load of `draws`.
    """

    draws: Iterator[RequestDraw | Session]
    concurrency: int | None = None
    think_s: float = 0.0
    tenants: tuple[str, ...] = ()
    slos: tuple[ServiceLevel, ...] = ()
    piles: tuple[Piles, ...] = ()
    throttled: tuple[Throttled, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run leaves behind.

    Attributes
    ----------
    record : counters, histograms, gauges.
    unfinished : requests sent and not finished at the end.
    end_s : when the run ended: the horizon, or earlier when the load had run out and the last request left.
    outages : (replica, down at, up at or None); `outage_causes` : of each.
    conditions : (replica, condition, cause) and the seconds in it; they add up to replicas x time.
    longest_refused_tokens : longest request that could never fit, 0 if none was refused.
    sessions : sessions by fate; none in a load of single requests.
    pools : counters of the prefill and the decode pool; None where replicas do both.
    released : (replica, from, to or None) of replicas that the autoscaler had given back.
    strikes : faults until the end; those of a replica that was given back met none. Filled by who drew them: the engine
        hears of their consequences only.
    """

    record: Recorder
    unfinished: int
    end_s: float
    outages: tuple[tuple[float | int | None, ...], ...]
    longest_refused_tokens: int
    sessions: SessionTally
    pools: PoolOutcome | None = None
    outage_causes: tuple[str, ...] = ()
    conditions: tuple[tuple[int, Condition, str, float], ...] = ()
    released: tuple[tuple[float | int | None, ...], ...] = ()
    strikes: tuple[Strike, ...] = ()

    @property
    def node_faults(self) -> int:
        """Faults of nodes that stood in a replica."""
        return sum(strike.node is not None and strike.replica is not None for strike in self.strikes)

    @property
    def idle_hits(self) -> int:
        """Injected faults that met no replica."""
        return sum(strike.injected and strike.replica is None for strike in self.strikes)


class Cluster:
    """Everything on one clock.

    Parameters
    ----------
    law : step time of a replica; of those that prefill, where others decode by `decode_law`.
    """

    def __init__(
        self, plan: ClusterPlan, law: StepLaw, load: Load, streams: Streams, decode_law: StepLaw | None = None
    ) -> None:
        self.env = env = Environment()
        self.plan = plan
        self._migrates = plan.in_flight == "migrate"
        self.record = record = Recorder(plan.slo, plan.warmup_s, plan.record_requests, plan.client.response_latency_s)
        if plan.bin_s > 0.0:
            record.course = Course(plan.bin_s, plan.horizon_s)
        if load.tenants:
            record.tenants = TenantTally(load.tenants, load.slos, load.piles, plan.warmup_s, plan.record_requests)
        self.clients = Clients(
            env,
            plan.client,
            record,
            load.draws,
            plan.longest_request_tokens,
            self._done,
            load.concurrency,
            load.think_s,
            plan.max_requests,
            TenantLimits(plan.tenant_limits) if plan.tenant_limits else None,
            load.throttled,
            retries=Retries(plan.client, streams),
            in_flight=plan.in_flight,
        )
        shared = Shared(plan.limits.block_size) if plan.limits.enable_prefix_caching else None
        kind = Replica if plan.decode is None else PrefillReplica
        serving: list[Replica] = [
            kind(env, index, plan.limits, law, record, self.clients.finished, plan.coalesce, shared, self._migrates)
            for index in range(plan.replicas)
        ]
        self.replicas = serving
        self.handover: Handover | None = None
        if plan.decode is not None:
            self.handover, decoding = self._disaggregated(plan.decode, law if decode_law is None else decode_law)
            self.replicas = [*serving, *decoding]
        self._pool_tokens = sum(
            replica.limits.num_kv_blocks * replica.limits.block_size * replica.limits.data_parallel_size
            for replica in self.replicas
        )
        if shared is not None and (plan.host is not None or plan.remote is not None):
            attach_tiers(env, self.replicas, shared, record.totals, plan.limits.block_size, plan.host, plan.remote)
        self.conditions = Conditions(env, self.replicas, self.clients.lost)
        self.player = Player(env, plan.transitions, self.replicas, self.conditions)
        self.health = None if plan.health is None else Health(env, plan.health, serving, record.totals)
        self.autoscaler = None if plan.autoscaler is None else self._autoscaler(plan.autoscaler, streams)
        self.router = Router(
            plan.router,
            serving,
            streams,
            plan.limits.affinity_guard * plan.limits.data_parallel_size,
            plan.prefix_hash,
            self.health,
        )
        if self.handover is not None:
            self.handover.start(self.router)

    def _autoscaler(self, wanted: AutoscalerPlan, streams: Streams) -> Autoscaler:
        """What lets replicas come and go."""
        if self.plan.decode is not None or wanted.max_replicas != self.plan.replicas:
            raise SimError("an autoscaler needs replicas that do both, as many as it may have at most")
        return Autoscaler(self.env, wanted, self.replicas, self.conditions, streams)

    def _disaggregated(self, pool: DecodePool, law: StepLaw) -> tuple[Handover, list[DecodeReplica]]:
        """The replicas that decode, and what lies between them and those that prefill."""
        plan, record, finished = self.plan, self.record, self.clients.finished
        prefilling = [replica for replica in self.replicas if isinstance(replica, PrefillReplica)]
        indices = range(plan.replicas, plan.replicas + pool.replicas)
        decoding = [
            DecodeReplica(self.env, index, pool.limits, law, record, finished, plan.coalesce, migrates=self._migrates)
            for index in indices
        ]
        return Handover(self.env, pool, prefilling, decoding, record, self.clients.lost), decoding

    def run(self, progress: Callable[[float], None] | None = None, samples: int = SAMPLES) -> Outcome:
        """Run to the horizon, or until the load has run out and the last request has left.

        Parameters
        ----------
        progress : called at each sample with the share of the horizon simulated.
        samples : points of the timeline over the horizon; one per bin where the plan asks for bins. Nothing else
            depends on it.
        """
        plan, env = self.plan, self.env
        if plan.bin_s > 0.0:
            samples = max(1, round(plan.horizon_s / plan.bin_s))
        horizon = Alarm(env, URGENT, StopSimulation.callback)
        horizon.set(plan.horizon_s)
        if plan.warmup_s > 0.0:
            call_later(env, plan.warmup_s, WARMUP, self._open)
        self.player.start()
        if self.autoscaler is not None:
            self.autoscaler.start()
        if self.health is not None:
            self.health.start()
        self.clients.start(self.router, self.health)
        sampler = Alarm(env, LAST, lambda _: self._tick(sampler, samples, progress))
        sampler.set(plan.horizon_s / samples)
        thresholds = gc.get_threshold()
        gc.set_threshold(COLLECT_EVERY, *thresholds[1:])
        try:
            env.run()
        finally:
            gc.set_threshold(*thresholds)
        return self._close(progress)

    def _tick(self, sampler: Alarm, samples: int, progress: Callable[[float], None] | None) -> None:
        self._sample()
        if self.record.course is not None:
            self.record.course.mark(self.record.totals)
        taken = len(self.record.timeline)
        if progress is not None:
            progress(taken / samples)
        if taken < samples - 1:
            sampler.set(self.plan.horizon_s * (taken + 1) / samples)

    def _done(self) -> None:
        """No request is left and none will come: stop when this instant is over."""
        call_later(self.env, 0.0, LAST, StopSimulation.callback)

    def _open(self, _event: Event) -> None:
        self._settle()
        self.record.open()
        if self.handover is not None:
            self.handover.open()

    def _settle(self) -> None:
        for replica in self.replicas:
            replica.settle()
        now, conditions = self.env.now, self.conditions
        conditions.settle()
        self.record.totals.down_s = conditions.down_s(now)
        totals = self.record.totals
        totals.off_s = conditions.off_s
        totals.billed_s = len(self.replicas) * now if self.autoscaler is None else self.autoscaler.billed_s(now)
        if self.handover is not None:
            first = self.plan.replicas
            decoding = range(first, len(self.replicas))
            self.handover.settle(conditions.down_s(now, range(first)), conditions.down_s(now, decoding))

    def _sample(self) -> None:
        replicas = self.replicas
        running = sum(len(rank.running) for replica in replicas for rank in replica.ranks)
        waiting = sum(len(rank.waiting) for replica in replicas for rank in replica.ranks)
        held = sum(replica.held.cached_tokens for replica in replicas)
        up = sum(replica.up for replica in replicas)
        self.record.timeline.append((self.env.now, running, waiting, held / self._pool_tokens, up))

    def _close(self, progress: Callable[[float], None] | None) -> Outcome:
        self._sample()
        if self.record.course is not None:
            self.record.course.mark(self.record.totals)
        if progress is not None:
            progress(1.0)
        self._settle()
        now, record = self.env.now, self.record
        record.close()
        self.clients.sessions.duration_s.flush()
        unfinished = int(record.in_system.level)
        unfinished_s = self._unfinished_s(now)
        if record.tenants is not None:
            record.tenants.close(record.totals)
        check_identities(record, self.replicas, unfinished, unfinished_s, now)
        if self.handover is not None:
            self.handover.check()
        return Outcome(
            record=record,
            unfinished=unfinished,
            end_s=now,
            outages=tuple(tuple(outage) for outage in self.conditions.outages),
            longest_refused_tokens=self.clients.longest_refused_tokens,
            sessions=self.clients.sessions,
            pools=None if self.handover is None else self.handover.outcome(),
            outage_causes=tuple(self.conditions.causes),
            conditions=tuple((*key, seconds) for key, seconds in self.conditions.seconds.items()),
            released=tuple(tuple(span) for span in self.conditions.released),
        )

    def _unfinished_s(self, now: float) -> float:
        """Sojourn so far of everybody still here, summed one by one."""
        here: list[Request] = [
            request for replica in self.replicas for rank in replica.ranks for request in (*rank.running, *rank.waiting)
        ]
        here += self.clients.backing_off
        if self.handover is not None:
            here += self.handover.waiting
        return sum(now - request.arrival_s for request in here)
