"""One replication of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.throttle import Throttled
from sim.scenario.scenario import Scenario
from sim.simulation.build import Built, build
from sim.simulation.run_faults import met, run_faults
from sim.streams import Streams
from sim.workload.mix import Mix
from sim.workload.request import RequestDraw
from sim.workload.workload import Workload


def run_replication(scenario: Scenario, replication: int, progress: Callable[[float], None] | None = None) -> Outcome:
    """Simulate one replication; the same scenario and index give the same outcome anywhere.

    Parameters
    ----------
    replication : index from 0; addresses the random streams.
    progress : called with the share simulated.

    Raises
    ------
    IdentityError : an exact identity failed, which is a defect of this package.
    """
    return run_built(build(scenario), scenario.run.seed, replication, progress)


def run_built(built: Built, seed: int, replication: int, progress: Callable[[float], None] | None = None) -> Outcome:
    """The same for a scenario that is already built."""
    streams, cluster = Streams(seed, replication), built.cluster
    faults = None if built.fleet is None else run_faults(built.fleet, streams, cluster.horizon_s)
    if faults is not None:
        cluster = replace(cluster, transitions=faults.transitions)
    outcome = Cluster(cluster, built.served, sent_by(built, streams), streams, built.decode_served).run(progress)
    return outcome if faults is None else replace(outcome, strikes=met(faults.strikes, outcome))


def sent_by(built: Built, streams: Streams) -> Load:
    """What the clients of one replication send."""
    workload = built.workload
    return _mixed(built, workload, streams) if isinstance(workload, Mix) else load(workload, streams)


def _mixed(built: Built, mix: Mix, streams: Streams) -> Load:
    """What the tenants of one replication send."""
    horizon_s = built.cluster.horizon_s
    return Load(
        mix.arriving(streams),
        tenants=mix.names,
        slos=built.tenant_slos,
        piles=tuple((index, pile) for index, part in enumerate(mix.parts) for pile in part.piles(streams, horizon_s)),
        throttled=tuple(
            Throttled(index, part.draws(streams, index), part.limit, part.pause_s)
            for index, part in enumerate(mix.parts)
            if part.limit is not None
        ),
    )


def load(workload: Workload, streams: Streams) -> Load:
    """What the clients of one replication send, where there is one load."""
    concurrency = workload.closed_loop_concurrency
    if workload.sessions is not None:
        return Load(workload.arriving_sessions(streams), concurrency, workload.closed_loop_think_s)
    if concurrency is None:
        return Load(workload.requests(streams))
    return Load(_closed_draws(workload, streams), concurrency, workload.closed_loop_think_s)


def _closed_draws(workload: Workload, streams: Streams) -> Iterator[RequestDraw]:
    for at_s, (input_tokens, output_tokens) in zip(repeat(0.0), workload.lengths_stream(streams), strict=False):
        yield RequestDraw(at_s, input_tokens, output_tokens)
