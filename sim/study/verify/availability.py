"""Nodes that fail: k of n, repairmen, spares, recoveries that start anew, work that starts from scratch."""

from __future__ import annotations

from sim.oracle.availability import k_of_n, restart_availability, unit_availability
from sim.oracle.repairman import Repairman
from sim.oracle.restart import restart_from_scratch_s
from sim.study.verify.case import Case
from sim.study.verify.check import Expectation
from sim.study.verify.fleet import NodeFleet
from sim.study.verify.law import AffineLaw
from sim.study.verify.lengths import Constant
from sim.study.verify.queue import Queue
from sim.units import HOUR_S

MTBF_S, MTTR_S = 240.0 * HOUR_S, 24.0 * HOUR_S  # a fast test: failures often enough to be counted
UNITS, NEEDED = 6, 4
WARMUP_S = 500.0 * HOUR_S


def cases(measured_s: float) -> list[Case]:
    """All cases of failure and repair, each observed for `measured_s`."""
    return [
        _k_of_n("exponential repairs", 0.0, measured_s),
        _k_of_n("lognormal repairs", 1.2, measured_s),
        _repairman(1, measured_s),
        _repairman(2, measured_s),
        _spare(measured_s),
        _series(measured_s),
        _recovery(measured_s),
        _scratch(measured_s / HOUR_S),
    ]


def _k_of_n(kind: str, sigma: float, measured_s: float) -> Case:
    unit = unit_availability(MTBF_S, MTTR_S)
    fleet = NodeFleet(UNITS, MTBF_S, MTTR_S, measured_s, WARMUP_S, needed=NEEDED, sigma=sigma)
    return Case(
        f"{NEEDED} of {UNITS}, {kind}",
        fleet,
        (
            Expectation("enough", f"time with {NEEDED} or more up", "share", k_of_n(NEEDED, UNITS, unit)),
            Expectation("up", "replicas up", "share", unit),
        ),
    )


def _repairman(crews: int, measured_s: float) -> Case:
    theory = Repairman(UNITS, MTBF_S, MTTR_S, crews)
    fleet = NodeFleet(UNITS, MTBF_S, MTTR_S, measured_s, WARMUP_S, needed=NEEDED, crews=crews)
    return Case(
        f"Repairman, {UNITS} units, {crews} crew{'s' if crews > 1 else ''}",
        fleet,
        (
            Expectation("enough", f"time with {NEEDED} or more up", "share", theory.at_least_frac(NEEDED)),
            Expectation("up", "replicas up", "share", theory.mean_in_service / UNITS),
        ),
    )


def _spare(measured_s: float) -> Case:
    theory = Repairman(4, MTBF_S, MTTR_S, spares=1)
    fleet = NodeFleet(4, MTBF_S, MTTR_S, measured_s, WARMUP_S, needed=4, spares=1)
    return Case(
        "4 of 4 with a cold spare",
        fleet,
        (
            Expectation("enough", "time with 4 up", "share", theory.at_least_frac(4)),
            Expectation("up", "replicas up", "share", theory.mean_in_service / 4),
        ),
    )


def _series(measured_s: float) -> Case:
    """One replica on four nodes: it is up while all four are, and the survivors of a fault go on failing."""
    theory = k_of_n(4, 4, unit_availability(MTBF_S, MTTR_S))
    fleet = NodeFleet(1, MTBF_S, MTTR_S, measured_s, WARMUP_S, nodes_per_replica=4)
    return Case("One replica on 4 nodes", fleet, (Expectation("up", "time up", "share", theory),))


def _recovery(measured_s: float) -> Case:
    """Ten hours of detection and restart on ample spares, begun anew by each fault of any of four nodes."""
    detect_s, restart_s, mtbf_s = 2.0 * HOUR_S, 8.0 * HOUR_S, 400.0 * HOUR_S
    theory = restart_availability(4 / mtbf_s, detect_s + restart_s)
    fleet = NodeFleet(
        1,
        mtbf_s,
        HOUR_S,
        measured_s,
        WARMUP_S,
        nodes_per_replica=4,
        spares=16,
        detect_s=detect_s,
        restart_s=restart_s,
    )
    return Case("Recovery begun anew by each fault", fleet, (Expectation("up", "time up", "share", theory),))


def _scratch(measured_s: float) -> Case:
    """One client at a time, 100 s of work, a fault every 1,000 s that loses all of it; a spare takes over at once."""
    queue = Queue(
        AffineLaw(base_s=1e-3),
        Constant(100_000),
        warmup_s=0.0,
        measured_s=measured_s,
        concurrency=1,
        fleet=NodeFleet(1, 1000.0, 1.0, measured_s, spares=16).plan(),
    )
    theory = restart_from_scratch_s(100.0, 1e-3)
    return Case(
        "Work that starts from scratch", queue, (Expectation("sojourn_s", "mean time to completion", "s", theory),)
    )
