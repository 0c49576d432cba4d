"""How many replicas a load needs that is above capacity: measured, not extrapolated from a collapsed run."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from sim.scenario.scenario import Scenario
from sim.simulation.infeasible import Infeasible
from sim.study.saturation import saturation

HEADROOM_FRAC = 0.98  # a queue at exactly its saturated throughput still grows without end


def sized(scenario: Scenario, reason: Infeasible, *, workers: int = 0) -> Infeasible:
    """The same named result with the replicas that would carry the load, from the saturated throughput of one.

    Two pools are left as they are: how many replicas of each would do is a search (`sim.study.ratio`). A
    mixture of tenants keeps the reason as it is.

    What an overloaded run completes says little: clients time out and their work is lost. So one replica is simulated
    with every seat asked for, and the load is divided by what it delivers.
    """
    if scenario.deployment.disaggregation is not None:
        return reason
    if scenario.workload.mix is not None or scenario.workload.batch is not None:
        return reason  # closed loops of several tenants at once would not keep their proportions
    offered_rps = reason.numbers["offered_rps"]
    one_rps = saturation(scenario.with_({"deployment.replicas": 1}), workers=workers).requests_rps
    if one_rps <= 0.0:
        return reason
    needed = max(scenario.deployment.replicas + 1, ceil(offered_rps / (HEADROOM_FRAC * one_rps)))
    carried_rps = HEADROOM_FRAC * one_rps * scenario.deployment.replicas
    smallest = (
        f"At least {needed} replicas are needed, more to keep a service level; or at most {carried_rps:.3g} "
        f"requests/s. One replica delivers {one_rps:.3g} requests/s of this mix when it is never short of work."
    )
    numbers = {**reason.numbers, "saturated_rps_per_replica": one_rps, "replicas_needed": float(needed)}
    return replace(reason, smallest=smallest, numbers=numbers)
