"""Many seats: independent servers when a step takes as long whatever the batch, a shared one when it is proportional.

An arrival joins at the next step boundary, so it is delayed by at most one step; steps are short enough for that to be
far below the noise (the bound is given with each case).
"""

from __future__ import annotations

from sim.oracle.mg1 import MG1PS
from sim.oracle.mmc import MMc
from sim.oracle.repairman import Repairman
from sim.study.verify.case import Case
from sim.study.verify.check import Expectation
from sim.study.verify.law import AffineLaw
from sim.study.verify.lengths import Constant, Geometric, Lengths, TwoPoint
from sim.study.verify.queue import Queue
from sim.workload.arrivals.poisson import Poisson

TOKENS = 100_000
STEPS = AffineLaw(base_s=1.0 / TOKENS)
SHARED = AffineLaw(sequence_s=1.0 / TOKENS)
SEATS = 4096
NOISE = ("surplus_tokens",)  # realised load less true load, taken out by regression


def cases(measured_s: float) -> list[Case]:
    """Erlang's servers, processor sharing, and a closed loop, each observed for a multiple of `measured_s`."""
    return [
        _mmc(4, 3.0, 0.4 * measured_s),
        _mmc(10, 8.0, 0.15 * measured_s),
        *(_sharing(kind, lengths, 0.7 * measured_s) for kind, lengths in _LENGTHS.items()),
        _variance(0.7 * measured_s),
        _closed_loop(measured_s),
    ]


_LENGTHS: dict[str, Lengths] = {
    "geometric": Geometric(TOKENS),
    "constant": Constant(TOKENS),
    "two lengths": TwoPoint(TOKENS // 2, 3 * TOKENS, 0.2),
}


def _mmc(servers: int, rate_rps: float, measured_s: float) -> Case:
    """Bias below one step, 1e-5 of the mean service."""
    theory = MMc(rate_rps, 1.0, servers)
    level = theory.wait_quantile_s(0.95)
    return Case(
        f"M/M/{servers}",
        Queue(
            STEPS,
            Geometric(TOKENS),
            warmup_s=200.0,
            measured_s=measured_s,
            tail_s=60.0,
            seats=servers,
            arrivals=Poisson(rate_rps),
            levels_s=(0.01, level),
        ),
        (
            Expectation(
                "wait>0.01",
                "requests that wait over 0.01 s (Erlang C)",
                "share",
                theory.wait_exceeds_frac(0.01),
                controls=NOISE,
            ),
            Expectation("wait_s", "mean wait", "s", theory.mean_wait_s, controls=NOISE),
            Expectation("sojourn_s", "mean time in system", "s", theory.mean_sojourn_s, controls=NOISE),
            Expectation(f"wait>{level:.6g}", f"waits above the p95, {level:.4g} s", "share", 0.05, controls=NOISE),
        ),
    )


def _sharing(kind: str, lengths: Lengths, measured_s: float) -> Case:
    """Bias below one step of a shared batch, 1e-5 s per sequence present."""
    load = 0.6
    service_s = lengths.mean_tokens / TOKENS
    theory = MG1PS(load / service_s, service_s)
    long = (Expectation("long_s", "mean time of the long ones", "s", theory.mean_sojourn_of_s(3.0), controls=NOISE),)
    return Case(
        f"M/G/1-PS, {kind}",
        Queue(
            SHARED,
            lengths,
            warmup_s=200.0,
            measured_s=measured_s,
            tail_s=300.0,
            seats=SEATS,
            arrivals=Poisson(theory.rate_rps),
        ),
        (
            Expectation("number", "mean number in system", "requests", theory.mean_number, controls=NOISE),
            Expectation("sojourn_s", "mean time in system", "s", theory.mean_sojourn_s, controls=NOISE),
            *(long if isinstance(lengths, TwoPoint) else ()),
        ),
    )


def _variance(measured_s: float) -> Case:
    theory = MG1PS(0.5, 1.0)
    return Case(
        "M/M/1-PS",
        Queue(SHARED, Geometric(TOKENS), 200.0, measured_s, 200.0, SEATS, Poisson(0.5)),
        (
            Expectation("sojourn_s", "mean time in system", "s", theory.mean_sojourn_s, controls=NOISE),
            Expectation(
                "square_s2",
                "mean square of the time in system",
                "s2",
                theory.exponential_variance_s2 + theory.mean_sojourn_s**2,
                controls=NOISE,
            ),
        ),
    )


def _closed_loop(measured_s: float) -> Case:
    """Clients who think for a constant 5 s are machines that fail; a seat is the repairman."""
    theory = Repairman(8, 5.0, 1.0, crews=1)
    return Case(
        "M/M/1//8, closed loop with thinking",
        Queue(STEPS, Geometric(TOKENS), 200.0, measured_s, concurrency=8, think_s=5.0),
        (
            Expectation("completed_rps", "throughput", "requests/s", theory.failures_per_s),
            Expectation("number", "mean number waiting or served", "requests", theory.mean_down),
        ),
    )
