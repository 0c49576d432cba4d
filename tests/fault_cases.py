"""Fleets for tests of the clock of days."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan, Recovery, Shop, Spares
from sim.faults.phases import Phases, exponential
from sim.faults.tally import Tally
from sim.faults.timeline import Timeline
from sim.faults.transition import Transition
from sim.streams import Streams
from sim.units import HOUR_S

Z = 4.5
REPLICATIONS = 16


def fleet(
    replicas: int,
    mtbf_h: float = 240.0,
    repair: Phases | None = None,
    *,
    nodes: int = 1,
    spares: int = 0,
    spares_fail: bool = True,
    crews: int | None = None,
    detect_s: float = 0.0,
    restart_s: float = 0.0,
    **more: object,
) -> FleetPlan:
    """Replicas of nodes that fail by one class and are repaired."""
    kind = FaultClass("fault", 1.0 / (mtbf_h * HOUR_S), exponential(24.0 * HOUR_S) if repair is None else repair)
    return FleetPlan(
        nodes=(nodes,) * replicas,
        recovery=Recovery(detect_s, detect_s, (restart_s,) * replicas),
        node_classes=(kind,),
        spares=Spares(spares, fail=spares_fail),
        shop=Shop(crews=crews),
        **more,  # type: ignore[arg-type]
    )


def played(
    *injected: tuple[float, int],
    nodes: Sequence[int] = (1,),
    rate_per_s: float = 0.0,
    repair: Phases | None = None,
    spares: int = 0,
    detect_s: float = 10.0,
    restart_s: float | Sequence[float] = 330.0,
    horizon_s: float = 1e5,
    seed: int = 1,
) -> tuple[Transition, ...]:
    """What an engine is told when nodes fail at given times (when, which), and at random where there is a rate.

    Parameters
    ----------
    nodes : of each replica; spares come after them, and are cold.
    repair : an hour in the mean where it is not given.
    restart_s : of all replicas, or of each.
    """
    restarts = (restart_s,) * len(nodes) if isinstance(restart_s, float) else tuple(restart_s)
    plan = FleetPlan(
        nodes=tuple(nodes),
        recovery=Recovery(detect_s, detect_s, restarts),
        node_classes=(FaultClass("fault", rate_per_s, exponential(HOUR_S) if repair is None else repair),),
        spares=Spares(spares, fail=False),
        injected=tuple((at_s, node, "") for at_s, node in injected),
    )
    timeline = Timeline(plan, Streams(seed), record=True)
    timeline.run(horizon_s)
    return timeline.transitions


def tallies(plan: FleetPlan, hours: float, replications: int = REPLICATIONS, seed: int = 7) -> list[Tally]:
    return [Timeline(plan, Streams(seed, index)).run(hours * HOUR_S) for index in range(replications)]


def z_score(found: list[Tally], figure: Callable[[Tally], float], theory: float) -> float:
    """Distance of a mean over replications from theory, in standard errors."""
    values = np.array([figure(tally) for tally in found])
    return float((values.mean() - theory) / (values.std(ddof=1) / np.sqrt(values.size)))
