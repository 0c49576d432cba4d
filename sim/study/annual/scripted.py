"""One run of a scenario with a script of transitions in place of its faults."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from sim.engine.cluster import Cluster, Outcome
from sim.errors import SimError
from sim.faults.transition import Action, Transition
from sim.scenario.scenario import Scenario
from sim.simulation.build import Built, build
from sim.simulation.run import sent_by
from sim.streams import Streams
from sim.study.annual.counts import BIN_S, Counts
from sim.study.workers import Progress, spread

USUAL: Final = "usual"


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be run.

    Attributes
    ----------
    transitions : in order of time.
    warmup_s : latencies before it are not kept.
    horizon_s : at least so long; it is rounded up to whole bins.
    replication : the same one sees the same requests under any script.
    pace : usual pace of steps, to which those of the transitions are relative.
    """

    transitions: tuple[Transition, ...]
    warmup_s: float
    horizon_s: float
    replication: int
    pace: float = 1.0


def run_script(scenario: Scenario, script: Script, progress: Progress | None = None, *, rows: bool = False) -> Outcome:
    """Run one script; `rows` keeps one row per completed request.

    Raises
    ------
    SimError : the load ends before the script does.
    """
    built = _scripted(build(scenario), script, rows=rows)
    streams = Streams(scenario.run.seed, script.replication)
    sent = sent_by(built, streams)
    outcome = Cluster(built.cluster, built.served, sent, streams, built.decode_served).run(progress)
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
    replicas = built.cluster.replicas + (0 if built.cluster.decode is None else built.cluster.decode.replicas)
    cluster = replace(
        built.cluster,
        transitions=paced(script.transitions, script.pace, replicas),
        horizon_s=BIN_S * ceil(script.horizon_s / BIN_S - 1e-9),
        warmup_s=script.warmup_s,
        bin_s=BIN_S,
        max_requests=None,
        record_requests=rows,
    )
    return replace(built, cluster=cluster)


def paced(transitions: Sequence[Transition], pace: float, replicas: int) -> tuple[Transition, ...]:
    """The transitions at another usual pace, which all replicas have from the beginning and after every restart."""
    if pace == 1.0:
        return tuple(transitions)
    found = [Transition(0.0, replica, Action.PACE, USUAL, pace) for replica in range(replicas)]
    for step in transitions:
        found.append(replace(step, value=step.value * pace) if step.action is Action.PACE else step)
        if step.action is Action.UP:
            found.append(Transition(step.at_s, step.replica, Action.PACE, USUAL, pace))
    return tuple(found)
