"""Continuous batching: the batch is negative binomial, and only the mean output length matters.

Base 12 ms, 160 us per sequence, 400 output tokens on average, as an engine might have them. An arrival waits for the
step under way, which the fluid form leaves out: 0.12 % of the sojourn. So the four length laws are held to the fluid
form within 1 %, the geometric one to the exact step-level chain, and a batch with steps 64 times shorter to the fluid
form's law. Noise of the realised load is taken out by regression on what was drawn.
"""

from __future__ import annotations

from sim.oracle.batching import CappedBatching, ContinuousBatching
from sim.oracle.stepped_batching import SteppedBatching
from sim.study.verify.case import Case
from sim.study.verify.check import Expectation
from sim.study.verify.law import AffineLaw
from sim.study.verify.lengths import Constant, Geometric, Lengths, Lognormal, TwoPoint
from sim.study.verify.queue import Queue
from sim.workload.arrivals.poisson import Poisson

BASE_S, SEQUENCE_S, TOKENS = 0.012, 160e-6, 400
RATE_RPS, CAP = 5.0, 46  # a cap that one request in nine finds full
FINER = 64
SEATS = 4096
LOAD_NOISE = ("surplus_tokens",)
NOISE = ("surplus_tokens", "surplus_length")
LENGTHS: dict[str, tuple[Lengths, float]] = {  # law, and seconds after which all but one in a million have ended
    "geometric": (Geometric(TOKENS), 150.0),
    "constant": (Constant(TOKENS), 30.0),
    "lognormal, scv 4": (Lognormal(TOKENS, 4.0), 1500.0),
    "100 or 1600 tokens": (TwoPoint(100, 1600, 0.2), 60.0),
}


def cases(measured_s: float) -> list[Case]:
    """Four length laws, shorter steps, and a cap, each observed for `measured_s`."""
    return [
        *(_length_law(kind, lengths, tail_s, measured_s) for kind, (lengths, tail_s) in LENGTHS.items()),
        _finer(measured_s),
        _capped(2.0 * measured_s),
    ]


def _length_law(kind: str, lengths: Lengths, tail_s: float, measured_s: float) -> Case:
    fluid = ContinuousBatching(RATE_RPS, BASE_S, SEQUENCE_S, TOKENS)
    expectations = [
        Expectation("sojourn_s", "mean E2EL, any length law", "s", fluid.mean_sojourn_s, "within 1 %", NOISE)
    ]
    if isinstance(lengths, Geometric):
        stepped = SteppedBatching(RATE_RPS, BASE_S, SEQUENCE_S, TOKENS)
        expectations.append(
            Expectation("sojourn_s", "mean E2EL, exact step by step", "s", stepped.mean_sojourn_s, "z", NOISE)
        )
    law = AffineLaw(base_s=BASE_S, sequence_s=SEQUENCE_S)
    queue = Queue(law, lengths, 100.0, measured_s, tail_s, SEATS, Poisson(RATE_RPS))
    return Case(f"Continuous batching, {kind}", queue, tuple(expectations))


def _finer(measured_s: float) -> Case:
    """The residual step is 0.12 % / 64 of the sojourn, far below the noise."""
    fluid = ContinuousBatching(8.0, BASE_S, SEQUENCE_S, TOKENS)
    law = AffineLaw(base_s=BASE_S / FINER, sequence_s=SEQUENCE_S / FINER)
    queue = Queue(law, Geometric(TOKENS * FINER), 200.0, measured_s, seats=SEATS, arrivals=Poisson(8.0))
    return Case(
        "Continuous batching, short steps",
        queue,
        (
            Expectation("number", "mean sequences", "sequences", fluid.mean_number, "z", LOAD_NOISE),
            Expectation("little_s", "mean E2EL", "s", fluid.mean_sojourn_s, "z", LOAD_NOISE),
        ),
    )


def _capped(measured_s: float) -> Case:
    """Short steps again; geometric lengths, for which the capped chain is exact.

    Near the cap everything is too curved in the load for regression at few replications, so it goes without.
    """
    theory = CappedBatching(RATE_RPS, BASE_S, SEQUENCE_S, TOKENS, CAP)
    law = AffineLaw(base_s=BASE_S / FINER, sequence_s=SEQUENCE_S / FINER)
    queue = Queue(law, Geometric(TOKENS * FINER), 200.0, measured_s, 60.0, CAP, Poisson(RATE_RPS), levels_s=(0.01,))
    return Case(
        f"Continuous batching, cap {CAP}",
        queue,
        (
            Expectation("number", "mean number in system", "requests", theory.mean_number),
            Expectation("little_s", "mean E2EL", "s", theory.mean_sojourn_s),
            Expectation("wait_s", "mean wait for a seat", "s", theory.mean_queue / RATE_RPS),
        ),
    )
