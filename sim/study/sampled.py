"""The load of a scenario as a trace, to fire at a real cluster."""

from __future__ import annotations

from sim.scenario.scenario import Scenario
from sim.simulation.workload import workload_of
from sim.streams import Streams
from sim.workload.sample import sample
from sim.workload.trace.trace import Trace


def sampled_trace(scenario: Scenario) -> Trace:
    """The requests that the first replication of a scenario sends within its horizon.

    Raises
    ------
    ScenarioError : a closed loop, whose arrivals depend on the cluster.
    TraceError : no request arrives.
    """
    run = scenario.run
    return sample(workload_of(scenario), Streams(run.seed, 0), count=run.max_requests, horizon_s=run.horizon_s)
