"""The load of a scenario as a trace, to fire at a real cluster."""

from __future__ import annotations

from sim.errors import ScenarioError
from sim.scenario.scenario import Scenario
from sim.simulation.workload import workload_of
from sim.streams import Streams
from sim.workload.mix import Mix
from sim.workload.sample import sample
from sim.workload.trace.trace import Trace


def sampled_trace(scenario: Scenario) -> Trace:
    """The requests that the first replication of a scenario sends within its horizon.

    Raises
    ------
    ScenarioError : a closed loop, whose arrivals depend on the cluster; or a mixture.
    TraceError : no request arrives.
    """
    run, workload = scenario.run, workload_of(scenario)
    if isinstance(workload, Mix):
        raise ScenarioError("tenants and batches cannot be written as one trace: write each part alone", key="workload")
    return sample(workload, Streams(run.seed, 0), count=run.max_requests, horizon_s=run.horizon_s)
