"""One replication of nodes that fail and are repaired, and how many replicas were up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClusterPlan, EngineLimits
from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan, Recovery, Shop, Spares
from sim.faults.phases import Phases
from sim.simulation.run_faults import run_faults
from sim.streams import Streams
from sim.study.verify.law import AffineLaw
from sim.study.workers import Progress
from sim.workload.request import RequestDraw

ONE_SEAT = EngineLimits(
    max_num_seqs=1, max_num_batched_tokens=1, block_size=1, num_kv_blocks=1, max_model_len=2, data_parallel_size=1
)


@dataclass(frozen=True, slots=True)
class NodeFleet:
    """Replicas without requests: the clock of days, played to the engine.

    Attributes
    ----------
    replicas, nodes_per_replica, spares : the fleet.
    mtbf_s : per node in service, exponential.
    mttr_s, sigma : mean repair; exponential, or lognormal where sigma is above zero.
    crews : repairs at once; None for no limit.
    detect_s, restart_s : from fault to recovery, and from a full set of nodes to service.
    needed : replicas whose presence is counted.
    warmup_s, measured_s : the time average runs over the second, after the first.
    """

    replicas: int
    mtbf_s: float
    mttr_s: float
    measured_s: float
    warmup_s: float = 0.0
    needed: int = 1
    nodes_per_replica: int = 1
    spares: int = 0
    crews: int | None = None
    sigma: float = 0.0
    detect_s: float = 0.0
    restart_s: float = 0.0

    def replication(self, streams: Streams, progress: Progress | None = None) -> dict[str, float]:
        """Run once.

        Returns
        -------
        enough : share of time with at least `needed` replicas up; up : mean share of replicas up, from the outages;
        ledger_up : the same from the engine's own account of time, over the whole run.
        """
        horizon_s = self.warmup_s + self.measured_s
        plan = ClusterPlan(
            limits=ONE_SEAT,
            replicas=self.replicas,
            nodes_per_replica=self.nodes_per_replica,
            horizon_s=horizon_s,
            transitions=run_faults(self.plan(), streams, horizon_s).transitions,
        )
        outcome = Cluster(plan, AffineLaw(base_s=1.0), Load(self._nobody()), streams).run(progress)
        seconds, levels = self._levels(outcome)
        total_s = self.replicas * outcome.end_s
        return {
            "enough": float(seconds[levels >= self.needed].sum() / seconds.sum()),
            "up": float(seconds @ levels / (seconds.sum() * self.replicas)),
            "ledger_up": 1.0 - outcome.record.totals.down_s / total_s,
        }

    def plan(self) -> FleetPlan:
        """The fleet on the clock of days; spares are cold."""
        kind = FaultClass("fault", 1.0 / self.mtbf_s, Phases((1.0,), (self.mttr_s,), self.sigma))
        return FleetPlan(
            nodes=(self.nodes_per_replica,) * self.replicas,
            recovery=Recovery(self.detect_s, self.detect_s, (self.restart_s,) * self.replicas),
            node_classes=(kind,),
            spares=Spares(self.spares, fail=False),
            shop=Shop(crews=self.crews),
        )

    def _nobody(self) -> Iterator[RequestDraw]:
        """One request long after the end, so that the run lasts to its horizon."""
        yield RequestDraw(10.0 * (self.warmup_s + self.measured_s), 1, 1)

    def _levels(self, outcome: Outcome) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """(durations, replicas up in each) of the measured time, in order."""
        downs = np.array([down for _, down, _ in outcome.outages], dtype=np.float64)
        ups = np.array([up for _, _, up in outcome.outages if up is not None], dtype=np.float64)
        times = np.concatenate((downs, ups))
        change = np.concatenate((np.full(downs.size, -1), np.full(ups.size, 1)))
        order = np.argsort(times, kind="stable")
        edges = np.clip(np.concatenate(([0.0], times[order], [outcome.end_s])), self.warmup_s, None)
        return np.diff(edges), self.replicas + np.concatenate(([0], np.cumsum(change[order])))
