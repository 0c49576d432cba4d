"""One seat: a request holds the replica for its whole length, and the replica is a single first-come server.

A step lasts a hundred-thousandth of a second and a request holds the seat for one step per token, so service times are
geometric or constant multiples of it. Theory takes the exact discrete law where it needs two moments; where it needs
an exponential service, the geometric law differs from it by one part in 100,000.
"""

from __future__ import annotations

from sim.oracle.gim1 import GIM1, constant_gaps, gamma_gaps, weibull_gaps
from sim.oracle.md1 import MD1
from sim.oracle.mg1 import MG1
from sim.oracle.mm1 import MM1
from sim.study.verify.case import Case
from sim.study.verify.check import Expectation
from sim.study.verify.law import AffineLaw
from sim.study.verify.lengths import Constant, Geometric, TwoPoint
from sim.study.verify.queue import Queue
from sim.workload.arrivals.deterministic import Deterministic
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.renewal import Renewal, weibull_cv

TOKENS = 100_000
STEPS = AffineLaw(base_s=1.0 / TOKENS)
LOAD, TAIL_FRAC = 0.7, 0.05
NOISE = ("surplus_tokens",)  # realised load less true load, taken out by regression


def cases(measured_s: float) -> list[Case]:
    """All single-server cases, each observed for `measured_s` mean service times of one second."""
    renewal = [
        _renewal(
            "gamma gaps, scv 4",
            GIM1(gamma_gaps(1 / LOAD, 4.0), 1 / LOAD, 1.0),
            Renewal("gamma", LOAD, cv=2.0),
            measured_s,
        ),
        _renewal(
            "Weibull gaps, shape 0.6",
            GIM1(weibull_gaps(1 / LOAD, 0.6), 1 / LOAD, 1.0),
            Renewal("weibull", LOAD, cv=weibull_cv(0.6)),
            measured_s,
        ),
        _renewal("equal gaps", GIM1(constant_gaps(1 / LOAD), 1 / LOAD, 1.0), Deterministic(LOAD), measured_s),
    ]
    return [_mm1(measured_s), _md1(measured_s), _mg1(measured_s), *renewal, _round_robin(measured_s)]


def _queue(measured_s: float, **changes: object) -> Queue:
    base = {"law": STEPS, "lengths": Geometric(TOKENS), "warmup_s": 400.0, "tail_s": 200.0}
    return Queue(measured_s=measured_s, **(base | changes))  # type: ignore[arg-type]


def _mm1(measured_s: float) -> Case:
    theory = MM1(LOAD, 1.0)
    level = theory.wait_quantile_s(1.0 - TAIL_FRAC)
    return Case(
        "M/M/1",
        _queue(measured_s, arrivals=Poisson(LOAD), levels_s=(level,)),
        (
            Expectation("waited", "requests that wait", "share", theory.load, controls=NOISE),
            Expectation("wait_s", "mean wait", "s", theory.mean_wait_s, controls=NOISE),
            Expectation("number", "mean number in system", "requests", theory.mean_number, controls=NOISE),
            Expectation(f"wait>{level:.6g}", f"waits above the p95, {level:.4g} s", "share", TAIL_FRAC, controls=NOISE),
        ),
    )


def _md1(measured_s: float) -> Case:
    """Service is one prompt in one step here, so the prefill path is checked too."""
    theory = MD1(LOAD, 1.0)
    level = theory.wait_quantile_s(1.0 - TAIL_FRAC)
    return Case(
        "M/D/1",
        _queue(
            measured_s,
            law=AffineLaw(prompt_token_s=1.0 / TOKENS),
            lengths=Constant(TOKENS),
            prompts=True,
            arrivals=Poisson(LOAD),
            levels_s=(2.0, level),
        ),
        (
            Expectation("waited", "requests that wait", "share", theory.load, controls=NOISE),
            Expectation("wait_s", "mean wait", "s", theory.mean_wait_s, controls=NOISE),
            Expectation("wait>2", "waits above 2 s", "share", theory.wait_exceeds_frac(2.0), controls=NOISE),
            Expectation(f"wait>{level:.6g}", f"waits above the p95, {level:.4g} s", "share", TAIL_FRAC, controls=NOISE),
        ),
    )


def _mg1(measured_s: float) -> Case:
    lengths = TwoPoint(TOKENS // 2, 8 * TOKENS, 1.0 / 15.0)
    theory = MG1(LOAD, lengths.mean_tokens / TOKENS, lengths.scv)
    return Case(
        "M/G/1, two lengths",
        _queue(measured_s, lengths=lengths, arrivals=Poisson(LOAD)),
        (
            Expectation("waited", "requests that wait", "share", theory.load, controls=NOISE),
            Expectation("wait_s", "mean wait", "s", theory.mean_wait_s, controls=NOISE),
        ),
    )


def _renewal(kind: str, theory: GIM1, arrivals: Renewal | Deterministic, measured_s: float) -> Case:
    level = theory.wait_quantile_s(1.0 - TAIL_FRAC)
    return Case(
        f"GI/M/1, {kind}",
        _queue(measured_s, arrivals=arrivals, levels_s=(level,)),
        (
            Expectation("waited", "requests that wait", "share", theory.delayed_frac, controls=NOISE),
            Expectation("wait_s", "mean wait", "s", theory.mean_wait_s, controls=NOISE),
            Expectation(f"wait>{level:.6g}", f"waits above the p95, {level:.4g} s", "share", TAIL_FRAC, controls=NOISE),
        ),
    )


def _round_robin(measured_s: float) -> Case:
    """Every fourth arrival of a Poisson process: gaps are Erlang, gamma with scv 1/4, at each of four replicas."""
    theory = GIM1(gamma_gaps(1 / LOAD, 0.25), 1 / LOAD, 1.0)
    return Case(
        "GI/M/1, round robin over 4 replicas",
        _queue(0.25 * measured_s, arrivals=Poisson(4 * LOAD), replicas=4, router="round_robin", warmup_s=100.0),
        (
            Expectation("waited", "requests that wait", "share", theory.delayed_frac, controls=NOISE),
            Expectation("wait_s", "mean wait", "s", theory.mean_wait_s, controls=NOISE),
        ),
    )
