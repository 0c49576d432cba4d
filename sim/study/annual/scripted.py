"""One run of a scenario with a script of transitions in place of its faults."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import cast

from simpy import Event

from sim.engine.clock import call_later
from sim.engine.cluster import Cluster, Outcome
from sim.engine.plan import FaultPlan
from sim.errors import SimError
from sim.faults.transition import Action, Transition
from sim.scenario.scenario import Scenario
from sim.simulation.build import Built, build
from sim.simulation.run import sent_by
from sim.streams import Streams
from sim.study.annual.counts import BIN_S, Counts
from sim.study.workers import Progress, spread


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be run.

    Attributes
    ----------
    transitions : in order of time.
    warmup_s : latencies before it are not kept.
    horizon_s : at least so long; it is rounded up to whole bins.
    replication : the same one sees the same requests under any script.
    """

    transitions: tuple[Transition, ...]
    warmup_s: float
    horizon_s: float
    replication: int


def run_script(scenario: Scenario, script: Script, progress: Progress | None = None, *, rows: bool = False) -> Outcome:
    """Run one script; `rows` keeps one row per completed request.

    Raises
    ------
    SimError : the load ends before the script does.
    """
    built = _scripted(build(scenario), script, rows=rows)
    streams = Streams(scenario.run.seed, script.replication)
    cluster = Cluster(built.cluster, built.served, sent_by(built, streams), streams, built.decode_served)
    _play(cluster, script.transitions)
    outcome = cluster.run(progress)
    if outcome.end_s < built.cluster.horizon_s:
        raise SimError(f"the load ends after {outcome.end_s:,.0f} s, but a study of faults needs one without end")
    return outcome


def run_scripts(
    scenario: Scenario, scripts: Sequence[Script], *, workers: int = 0, progress: Progress | None = None
) -> list[Counts]:
    """Counts of each script, in order; the same for any number of workers."""
    return spread(_counted, [(scenario, script) for script in scripts], workers=workers, progress=progress)


def _counted(task: tuple[Scenario, Script], progress: Progress) -> Counts:
    begun_s = time.process_time()
    outcome = run_script(*task, progress)
    return Counts.of(outcome, time.process_time() - begun_s)


def _scripted(built: Built, script: Script, *, rows: bool) -> Built:
    cluster = replace(
        built.cluster,
        faults=FaultPlan(),
        horizon_s=BIN_S * ceil(script.horizon_s / BIN_S - 1e-9),
        warmup_s=script.warmup_s,
        bin_s=BIN_S,
        max_requests=None,
        record_requests=rows,
    )
    return replace(built, cluster=cluster)


def _play(cluster: Cluster, transitions: Sequence[Transition]) -> None:
    def act(event: Event) -> None:
        transition = cast("Transition", event.value)
        replica = cluster.replicas[transition.replica]
        if transition.action is Action.DOWN:
            lost = replica.kill()
            cluster.fleet._open[replica.index] = len(cluster.fleet.outages)
            cluster.fleet.outages.append([replica.index, cluster.env.now, None])
            cluster.clients.lost(lost)
        elif transition.action is Action.UP:
            cluster.fleet.outages[cluster.fleet._open.pop(replica.index)][2] = cluster.env.now
            replica.revive()
        else:
            raise SimError(f"not yet: {transition.action}")

    for transition in transitions:
        call_later(cluster.env, transition.at_s, 1, partial(act), transition)
