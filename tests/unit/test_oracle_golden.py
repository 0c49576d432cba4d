"""Closed forms against golden values, each of which was found by two independent routes."""

from __future__ import annotations

from math import comb, exp

import mpmath
import numpy as np
import pytest

from sim.oracle.availability import k_of_n, mean_availability, restart_availability, unit_availability
from sim.oracle.batching import CappedBatching, ContinuousBatching
from sim.oracle.birth_death import stationary
from sim.oracle.gim1 import GIM1, constant_gaps, gamma_gaps, weibull_gaps
from sim.oracle.md1 import MD1
from sim.oracle.mg1 import MG1, MG1PS
from sim.oracle.mm1 import MM1
from sim.oracle.mmc import MMc, MMcK, erlang_b
from sim.oracle.repairman import Repairman
from sim.oracle.restart import restart_from_scratch_s
from sim.oracle.stepped_batching import SteppedBatching

PRINTED = 6e-8  # golden values are printed with eight significant digits


def golden(value: float) -> object:
    return pytest.approx(value, rel=PRINTED)


def test_mm1() -> None:
    """M/M/1 at load 0.9 and unit service."""
    queue = MM1(0.9, 1.0)

    assert queue.mean_wait_s == golden(9.0)
    assert queue.mean_sojourn_s == golden(10.0)
    assert queue.mean_number == golden(9.0)
    assert queue.sojourn_quantile_s(0.5) == golden(6.9314718)
    assert queue.sojourn_quantile_s(0.99) == golden(46.051702)
    assert queue.wait_quantile_s(0.99) == golden(44.998097)
    assert queue.wait_exceeds_frac(queue.wait_quantile_s(0.99)) == pytest.approx(0.01, rel=1e-12)
    assert queue.sojourn_exceeds_frac(queue.sojourn_quantile_s(0.9)) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize(
    ("servers", "offered", "blocked", "delayed", "wait", "queue", "wait_p99", "sojourn_p99"),
    [
        (10, 9.0, 0.16796323, 0.66873152, 0.66873152, 6.0185837, 4.2027976, 6.2498767),
        (32, 28.0, 0.066497858, 0.36300806, 0.090752014, 2.5410564, 0.89795998, 4.7193936),
        (4, 3.0, 0.20610687, 0.50943396, None, 1.5283019, 3.9307151, None),
    ],
)
def test_mmc(
    servers: int,
    offered: float,
    blocked: float,
    delayed: float,
    wait: float | None,
    queue: float,
    wait_p99: float,
    sojourn_p99: float | None,
) -> None:
    """Erlang B and C, mean queue, and the p99 of wait and sojourn."""
    theory = MMc(offered, 1.0, servers)

    assert erlang_b(servers, offered) == golden(blocked)
    assert theory.delayed_frac == golden(delayed)
    assert theory.mean_queue == golden(queue)
    assert theory.wait_quantile_s(0.99) == golden(wait_p99)
    if wait is not None:
        assert theory.mean_wait_s == golden(wait)
    if sojourn_p99 is not None:
        assert theory.sojourn_quantile_s(0.99) == golden(sojourn_p99)


def test_mmc_agrees_with_its_birth_and_death_chain() -> None:
    """Erlang C and the mean number from a chain of 3,000 states, to 1e-10."""
    theory = MMc(9.0, 1.0, 10)
    p = stationary([9.0] * 3000, [float(min(n, 10)) for n in range(1, 3001)])

    assert theory.delayed_frac == pytest.approx(p[10:].sum(), rel=1e-10)
    assert theory.mean_queue == pytest.approx(np.maximum(0, np.arange(3001) - 10) @ p, rel=1e-10)


def test_mmc_sojourn_where_both_rates_are_equal() -> None:
    """The law of wait plus service is continuous where its two rates cross, and one server gives M/M/1."""
    near, at = MMc(3.0 + 1e-6, 1.0, 4), MMc(3.0, 1.0, 4)

    assert at.sojourn_exceeds_frac(2.0) == pytest.approx(near.sojourn_exceeds_frac(2.0), rel=1e-5)
    assert MMc(0.9, 1.0, 1).sojourn_exceeds_frac(5.0) == pytest.approx(MM1(0.9, 1.0).sojourn_exceeds_frac(5.0))


def test_mmck() -> None:
    """Four servers with room for twenty."""
    queue = MMcK(3.8, 1.0, 4, 20)

    assert queue.blocked_frac == golden(0.031272919)
    assert queue.mean_number == golden(9.2911433)
    assert MMcK(9.0, 1.0, 10, 10).blocked_frac == pytest.approx(erlang_b(10, 9.0), rel=1e-12)


def test_md1() -> None:
    """M/D/1 at load 0.9: mean, two points of the law, p99."""
    queue = MD1(0.9, 1.0)

    assert queue.mean_wait_s == golden(4.5)
    assert queue.wait_at_most_frac(5.0) == golden(0.66870915)
    assert queue.wait_at_most_frac(10.0) == golden(0.88240302)
    assert queue.wait_quantile_s(0.99) == golden(21.898237)
    assert queue.wait_quantile_s(0.05) == 0.0
    assert queue.wait_at_most_frac(0.0) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize("wait", [0.3, 1.0, 7.25, 40.5, 80.0])
def test_md1_agrees_with_erlangs_series(wait: float) -> None:
    """The alternating series of 1909 in 60 digits gives the same chance, to 1e-10."""
    with mpmath.workdps(60):
        load, x = mpmath.mpf("0.9"), mpmath.mpf(wait)
        terms = [
            (load * (k - x)) ** k / mpmath.factorial(k) * mpmath.exp(-load * (k - x)) for k in range(int(wait) + 1)
        ]
        series = float((1 - load) * mpmath.fsum(terms))

    assert MD1(0.9, 1.0).wait_at_most_frac(wait) == pytest.approx(series, abs=1e-10)


def test_mg1() -> None:
    """Load 0.8 with scv 4 waits 10 service times; scv 1 and 0 give M/M/1 and M/D/1."""
    assert MG1(0.8, 1.0, 4.0).mean_wait_s == golden(10.0)
    assert MG1(0.9, 1.0, 1.0).mean_sojourn_s == pytest.approx(MM1(0.9, 1.0).mean_sojourn_s)
    assert MG1(0.9, 1.0, 0.0).mean_wait_s == pytest.approx(MD1(0.9, 1.0).mean_wait_s)


def test_processor_sharing() -> None:
    """Load 0.8: mean 5, and 10 for a service of 2; load 0.5: variance 20/3."""
    assert MG1PS(0.8, 1.0).mean_sojourn_s == golden(5.0)
    assert MG1PS(0.8, 1.0).mean_sojourn_of_s(2.0) == golden(10.0)
    assert MG1PS(0.5, 1.0).exponential_variance_s2 == golden(6.6666667)


def test_gim1() -> None:
    """Gamma gaps with scv 4 at load 0.8."""
    queue = GIM1(gamma_gaps(1.25, 4.0), 1.25, 1.0)

    assert queue.delayed_frac == golden(0.91635458)
    assert queue.mean_wait_s == golden(10.955228)
    assert queue.wait_quantile_s(0.99) == golden(54.011546)


def test_gim1_with_exponential_gaps_is_mm1() -> None:
    """Gamma with scv 1 and Weibull with shape 1 are exponential; equal gaps wait least."""
    for gaps in (gamma_gaps(1.25, 1.0), weibull_gaps(1.25, 1.0)):
        assert GIM1(gaps, 1.25, 1.0).mean_wait_s == pytest.approx(MM1(0.8, 1.0).mean_wait_s, rel=1e-9)
    assert GIM1(constant_gaps(1.25), 1.25, 1.0).mean_wait_s < 2.0


def test_weibull_transform_by_series() -> None:
    """With shape 2 the transform has a closed form in the error function."""
    scale, s = 1.0, 0.7
    mean = float(mpmath.gamma(1.5))
    closed = 1 - mpmath.sqrt(mpmath.pi) * s / 2 * mpmath.exp(s**2 / 4) * mpmath.erfc(s / 2)

    assert weibull_gaps(mean * scale, 2.0)(s) == pytest.approx(float(closed), rel=1e-10)


@pytest.mark.parametrize(
    ("rate", "number", "sojourn", "p99"),
    [(2, 11.155963, 5.5779817, 20), (5, 35.764706, 7.1529412, 54), (8, 79.737705, 9.9672131, 112)],
)
def test_continuous_batching(rate: float, number: float, sojourn: float, p99: int) -> None:
    """With a = 12 ms, b = 160 us, 400 tokens: mean batch, mean sojourn, p99 of the batch."""
    law = ContinuousBatching(rate, 0.012, 160e-6, 400)

    assert law.mean_number == golden(number)
    assert law.mean_sojourn_s == golden(sojourn)
    assert law.number_quantile(0.99) == p99


def test_continuous_batching_agrees_with_its_birth_and_death_chain() -> None:
    """Deaths at n / ((a + b n) L) give the negative binomial law, state by state to 1e-10."""
    rate, a, b, tokens, states = 5.0, 0.012, 160e-6, 400, 600
    chain = stationary([rate] * states, [n / ((a + b * n) * tokens) for n in range(1, states + 1)])
    law = ContinuousBatching(rate, a, b, tokens)

    assert law.number_probabilities(states + 1) == pytest.approx(chain, abs=1e-10)
    assert law.number_at_most_frac(54) == pytest.approx(chain[:55].sum(), rel=1e-10)


def test_capped_batching() -> None:
    """A cap of 64 at 6 requests/s."""
    law = CappedBatching(6.0, 0.012, 160e-6, 400, 64)

    assert law.mean_number == golden(47.581099)
    assert law.mean_sojourn_s == golden(7.9301832)
    assert law.overflow_frac == golden(0.038751111)
    assert law.mean_queue == golden(0.23344043)
    assert law.capacity_rps == golden(7.1942446)


def test_a_wide_cap_does_not_bind() -> None:
    """With 1,000 seats the capped chain is the uncapped law."""
    free, capped = ContinuousBatching(5.0, 0.012, 160e-6, 400), CappedBatching(5.0, 0.012, 160e-6, 400, 1000)

    assert capped.mean_number == pytest.approx(free.mean_number, rel=1e-9)


def test_a_batch_without_base_time_is_processor_sharing() -> None:
    """With a = 0 the batch is geometric, and the mean sojourn is that of M/G/1-PS."""
    batch = ContinuousBatching(0.8, 0.0, 1e-3, 1000)

    assert batch.mean_sojourn_s == pytest.approx(MG1PS(0.8, 1.0).mean_sojourn_s)


def test_stepped_batching_tends_to_the_fluid_form() -> None:
    """The residual step adds 0.12 % at full steps and 1e-5 at steps 256 times shorter."""
    fluid = ContinuousBatching(5.0, 0.012, 160e-6, 400).mean_sojourn_s

    assert SteppedBatching(5.0, 0.012, 160e-6, 400).mean_sojourn_s / fluid - 1.0 == pytest.approx(0.00123, abs=1e-5)
    short = SteppedBatching(5.0, 0.012 / 256, 160e-6 / 256, 400 * 256, states=300)
    assert short.mean_sojourn_s == pytest.approx(fluid, rel=1e-5)


def test_stepped_batching_refuses_too_few_states() -> None:
    """A truncation that matters is an error, not a wrong number."""
    with pytest.raises(ValueError, match="states must be raised"):
        SteppedBatching(8.0, 0.012, 160e-6, 400, states=100)


def test_k_of_n() -> None:
    """A unit with 8,760 h and 24 h; 32 needed of 32, 33, 34; smaller groups."""
    unit = unit_availability(8760.0, 24.0)

    assert unit == golden(0.99726776)
    assert k_of_n(32, 32, unit) == golden(0.91617182)
    assert k_of_n(32, 33, unit) == golden(0.99627428)
    assert k_of_n(32, 34, unit) == golden(0.99988545)
    assert k_of_n(16, 18, 0.9767864784) == golden(0.9921391799)
    assert k_of_n(0, 5, 0.3) == pytest.approx(1.0)
    assert mean_availability(4800.0, 12.0, 720.0) == golden(0.9975476935)


def test_repairman() -> None:
    """34 units, 2,000 h and 48 h, one crew and unlimited crews, with first passage times."""
    one, many = Repairman(34, 2000.0, 48.0, 1), Repairman(34, 2000.0, 48.0)

    assert one.mean_down == golden(2.4935306)
    assert one.at_least_frac(32) == golden(0.60041206)
    assert one.at_least_frac(34) == golden(0.24384474)
    assert many.mean_down == golden(0.796875)
    assert many.at_least_frac(32) == golden(0.95508026)
    assert one.mean_time_to_below_s(32) == golden(431.82437)
    assert many.mean_time_to_below_s(32) == golden(607.44702)


def test_repairman_with_few_units() -> None:
    """Six units, 240 h and 24 h: states with one crew, two crews, six crews, and the rate of losing four of six."""
    one = Repairman(6, 240.0, 24.0, 1)
    states = [0.4845149037, 0.2907089422, 0.1453544711, 0.0581417884, 0.0174425365, 0.0034885073, 0.0003488507]

    assert one.probabilities == pytest.approx(states, abs=1e-10)
    assert one.at_least_frac(4) == golden(0.9205783170)
    assert one.mean_down == golden(0.8451490368)
    assert Repairman(6, 240.0, 24.0, 2).at_least_frac(4) == golden(0.9804072612)
    assert Repairman(6, 240.0, 24.0, 6).at_least_frac(4) == golden(0.9878293776)
    assert Repairman(6, 240.0, 24.0, 6).losses_per_s(4) == golden(0.00141118483)


@pytest.mark.parametrize(
    ("units", "mtbf", "mttr", "spares", "expected"),
    [
        (4, 240.0, 24.0, 1, 0.9406023080),
        (4, 4800.0, 12.0, 0, 0.9900621889),
        (4, 4800.0, 12.0, 1, 0.9999503736),
        (4, 4800.0, 12.0, 2, 0.9999998347),
        (16, 4800.0, 132.84, 0, 0.6461112948),
        (16, 4800.0, 132.84, 1, 0.9273592169),
        (16, 4800.0, 132.84, 2, 0.9896620255),
        (16, 4800.0, 132.84, 3, 0.9988800093),
    ],
)
def test_cold_spares(units: int, mtbf: float, mttr: float, spares: int, expected: float) -> None:
    """Share of time with all places filled, by number of cold spares."""
    assert Repairman(units, mtbf, mttr, spares=spares).at_least_frac(units) == golden(expected)


def test_repairman_with_a_crew_each_is_binomial() -> None:
    """Without spares and with unlimited crews the chain is k of n."""
    theory = Repairman(9, 240.0, 24.0)
    a = unit_availability(240.0, 24.0)

    expected = [comb(9, down) * a ** (9 - down) * (1 - a) ** down for down in range(10)]
    assert theory.probabilities == pytest.approx(expected, abs=1e-12)


def test_starting_from_scratch() -> None:
    """100 s of work at a fault per 1,000 s; half an hour at one an hour with a restart of 348 s."""
    assert restart_from_scratch_s(100.0, 1e-3) == golden(105.17092)
    assert restart_from_scratch_s(1800.0, 1 / 3600, 348.0) == golden(2561.151577)
    cycle = 100.0 + restart_from_scratch_s(10.0, 0.01)
    assert restart_availability(0.01, 10.0) == pytest.approx(100.0 / cycle) == pytest.approx(exp(-0.1))


@pytest.mark.parametrize(
    "build",
    [
        lambda: MM1(1.0, 1.0),
        lambda: MMc(4.0, 1.0, 4),
        lambda: MG1(2.0, 1.0, 1.0),
        lambda: MD1(1.2, 1.0),
        lambda: MG1PS(1.0, 1.0),
        lambda: GIM1(constant_gaps(1.0), 1.0, 1.0),
        lambda: ContinuousBatching(16.0, 0.012, 160e-6, 400),
        lambda: CappedBatching(7.2, 0.012, 160e-6, 400, 64),
    ],
)
def test_an_overloaded_queue_is_refused(build: object) -> None:
    """At or above capacity there is no stationary law, and every form says so."""
    with pytest.raises(ValueError, match="unstable"):
        build()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MM1(-1.0, 1.0), "rate_rps must be a positive number"),
        (lambda: MM1(float("nan"), 1.0), "rate_rps must be a positive number"),
        (lambda: MG1(0.5, 1.0, -0.1), "service_scv must not be negative"),
        (lambda: MMcK(1.0, 1.0, 4, 3), "room must be at least"),
        (lambda: k_of_n(5, 4, 0.9), "needed must be between"),
        (lambda: k_of_n(3, 4, 1.1), "availability must be between"),
        (lambda: Repairman(4, 1.0, 1.0, spares=-1), "spares must not be negative"),
        (lambda: Repairman(4, 1.0, 1.0).at_least_frac(5), "needed must be between"),
        (lambda: ContinuousBatching(1.0, -0.1, 1e-4, 10), "base_s must not be negative"),
    ],
)
def test_bad_arguments_are_refused(build: object, message: str) -> None:
    """Each with a sentence that names the argument."""
    with pytest.raises(ValueError, match=message):
        build()  # type: ignore[operator]
