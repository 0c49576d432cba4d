"""Cases without chance, where engine and arithmetic must agree to rounding."""

from __future__ import annotations

from sim.oracle.mg1 import MG1
from sim.study.verify.case import Case
from sim.study.verify.check import Expectation
from sim.study.verify.law import AffineLaw
from sim.study.verify.lengths import Constant
from sim.study.verify.queue import Queue
from sim.workload.arrivals.deterministic import Deterministic


def cases() -> list[Case]:
    """Equal arrivals at one seat, a closed loop in step, and a context that grows."""
    return [_equal(), _in_step(), _growing()]


def _equal() -> Case:
    """D/D/1 below capacity: nobody waits, and everybody takes the service time."""
    load = 0.5
    busy = MG1(load, 1.0, 0.0).load
    queue = Queue(AffineLaw(base_s=1.0 / 64), Constant(64), 8.0, 1000.0, 8.0, arrivals=Deterministic(load))
    return Case(
        "D/D/1",
        queue,
        (
            Expectation("wait_s", "mean wait", "s", 0.0, "exact"),
            Expectation("sojourn_s", "mean time in system", "s", 1.0, "exact"),
            Expectation("number", "mean number in system", "requests", busy, "exact"),
        ),
        replications=1,
    )


def _in_step() -> Case:
    """Sixteen clients without thinking and equal lengths stay one batch: L (a + b n) seconds each."""
    base_s, sequence_s, tokens, clients = 0.012, 160e-6, 400, 16
    law = AffineLaw(base_s=base_s, sequence_s=sequence_s)
    turn_s = tokens * (base_s + sequence_s * clients)
    queue = Queue(law, Constant(tokens), 0.0, 100.5 * turn_s, seats=clients, concurrency=clients)
    return Case(
        "Closed loop in step",
        queue,
        (
            Expectation("sojourn_s", "E2EL of each", "s", turn_s, "exact"),
            Expectation("number", "mean number in system", "requests", float(clients), "exact"),
        ),
        replications=1,
    )


def _growing() -> Case:
    """One request whose step grows with its context: one prefill step, then contexts 2 to L."""
    base_s, context_s, tokens = 0.01, 1e-6, 5000
    theory = tokens * base_s + context_s * (tokens * (tokens + 1) / 2 - 1)
    law = AffineLaw(base_s=base_s, context_s=context_s)
    queue = Queue(law, Constant(tokens), 0.0, 20.5 * theory, concurrency=1)
    return Case(
        "Context that grows",
        queue,
        (Expectation("sojourn_s", "E2EL of each", "s", theory, "exact"),),
        replications=1,
    )
