"""Arrival processes: rates, coefficients of variation, seasons, bursts, named streams."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.streams import Streams
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.arrivals.deterministic import Deterministic
from sim.workload.arrivals.mmpp import Mmpp
from sim.workload.arrivals.operational import OperationalTime
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.profile import RateProfile, week_profile
from sim.workload.arrivals.renewal import Renewal, cv_from_burstiness, weibull_cv, weibull_shape

AZURE_CODE_RATES = (0.003, 6.82, 22.46)
AZURE_CODE_MATRIX = ((0.9542, 0.0439, 0.0019), (0.1441, 0.7830, 0.0729), (0.0508, 0.3030, 0.6462))
AZURE_CONV = Mmpp((4.62, 7.01), (122.0, 76.0))


def azure_code() -> Mmpp:
    return Mmpp.from_transition_matrix(AZURE_CODE_RATES, AZURE_CODE_MATRIX)


def draw(process, n, seed=0, name="arrivals"):
    return np.fromiter(islice(process.times(Streams(seed), name), n), float)


def counts(process, window_s, windows, seed=0):
    total = np.zeros(windows)
    for block in process.blocks(Streams(seed)):
        index = (block // window_s).astype(int)
        total += np.bincount(index[index < windows], minlength=windows)
        if index[-1] >= windows:
            return total
    raise AssertionError


def cv_of(times):
    gaps = np.diff(times)
    return gaps.std() / gaps.mean()


def test_poisson_gaps_are_exponential():
    """Poisson arrivals have the rate asked for, and gaps whose standard deviation equals their mean."""
    times = draw(Poisson(4.0), 200_000)
    assert len(times) / times[-1] == pytest.approx(4.0, rel=0.01)
    assert cv_of(times) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("law", ["gamma", "weibull"])
@pytest.mark.parametrize("cv", [0.2, 1.0, 2.08])
def test_renewal_has_the_cv_asked_for(law, cv):
    """A renewal process has the mean rate and the coefficient of variation asked for."""
    times = draw(Renewal(law, 3.0, cv), 400_000)
    assert len(times) / times[-1] == pytest.approx(3.0, rel=0.02)
    assert cv_of(times) == pytest.approx(cv, rel=0.03)


def test_burstiness_is_the_gamma_shape():
    """Burstiness b in vLLM is a Gamma shape, so CV = 1/sqrt(b): 0.231 gives 2.08, 1 Poisson, infinity equal gaps."""
    assert cv_from_burstiness(0.231) == pytest.approx(2.08, abs=0.005)
    assert cv_from_burstiness(1.0) == 1.0
    assert cv_from_burstiness(math.inf) == 0.0
    times = draw(Renewal("gamma", 2.57, cv_from_burstiness(0.231)), 400_000)
    assert cv_of(times) == pytest.approx(2.08, abs=0.05)


def test_renewal_with_infinite_burstiness_has_equal_gaps():
    """With CV 0 all gaps are 1/rate."""
    times = draw(Renewal("gamma", 8.0, cv_from_burstiness(math.inf)), 10_000)
    np.testing.assert_allclose(np.diff(times), 1 / 8.0, atol=1e-9)


@pytest.mark.parametrize("burstiness", [0.0, -1.0, math.nan])
def test_burstiness_must_be_positive(burstiness):
    """A burstiness that no Gamma law can have is refused."""
    with pytest.raises(ScenarioError, match="burstiness"):
        cv_from_burstiness(burstiness)


@pytest.mark.parametrize("cv", [0.05, 0.5, 1.0, 2.91, 13.15])
def test_weibull_shape_inverts_its_cv(cv):
    """The Weibull shape found for a CV has that CV; shape 0.419 has CV 2.91."""
    assert weibull_cv(weibull_shape(cv)) == pytest.approx(cv, rel=1e-9)
    assert weibull_cv(0.419) == pytest.approx(2.91, abs=0.005)


@pytest.mark.parametrize("law", ["gamma", "weibull"])
def test_renewal_is_stationary(law):
    """The expected count in a short first window is rate x window, with no burst at time zero."""
    process = Renewal(law, 1.0, 3.0)
    window_s, runs = 2.0, 4000
    first = [np.searchsorted(next(iter_block(process, seed)), window_s) for seed in range(runs)]
    error = np.std(first) / math.sqrt(runs)
    assert np.mean(first) == pytest.approx(window_s, abs=4 * error)


def iter_block(process, seed):
    blocks = process.blocks(Streams(seed))
    first = next(blocks)
    yield np.concatenate((first, next(blocks)))


def test_deterministic_does_not_accumulate_rounding():
    """The i-th arrival of a constant rate is exactly i / rate."""
    times = draw(Deterministic(3.0), 100_000)
    assert times[0] == 1 / 3.0
    assert times[-1] == 100_000 / 3.0


def test_streams_are_named():
    """The same name gives the same arrivals, another name or seed gives others."""
    process = Renewal("gamma", 1.0, 1.4)
    np.testing.assert_array_equal(draw(process, 9000), draw(process, 9000))
    assert not np.array_equal(draw(process, 100), draw(process, 100, name="batch"))
    assert not np.array_equal(draw(process, 100), draw(process, 100, seed=1))


def test_mmpp_fit_of_azure_code_has_the_published_rate_and_dispersion():
    """The 3-state preset has a rate of 2.4 to 2.6/s and IDC(10 s) of 60 to 70, in closed form."""
    process = azure_code()
    assert 2.4 <= process.rate_rps <= 2.6
    assert 11 <= process.dispersion(1.0) <= 13
    assert 60 <= process.dispersion(10.0) <= 70
    assert 96 <= process.dispersion(60.0) <= 106
    np.testing.assert_allclose(process.stationary(), [0.735, 0.217, 0.048], atol=1e-3)
    np.testing.assert_allclose(process.mean_dwell_s, [21.9, 4.6, 2.8], atol=0.08)


def test_mmpp_simulation_agrees_with_its_closed_form():
    """Counts of the simulated 3-state process have the mean and the dispersion of the formula."""
    process = azure_code()
    per_window = counts(process, 10.0, 60_000)
    assert per_window.mean() / 10 == pytest.approx(process.rate_rps, rel=0.03)
    assert per_window.var() / per_window.mean() == pytest.approx(process.dispersion(10.0), rel=0.05)


def test_mmpp_with_one_rate_is_poisson():
    """Equal rates in all states make no bursts: dispersion 1; unequal rates do not (negative twin)."""
    assert Mmpp((3.0, 3.0), (1.0, 5.0)).dispersion(10.0) == pytest.approx(1.0)
    assert Mmpp((1.0, 5.0), (1.0, 5.0)).dispersion(10.0) > 1.5


def test_mmpp_from_dwell_times_has_the_published_shares():
    """The 2-state preset of the conversation trace spends 0.618 and 0.382 of its time in its states, at 5.5/s."""
    np.testing.assert_allclose(AZURE_CONV.stationary(), [0.618, 0.382], atol=0.003)
    assert AZURE_CONV.rate_rps == pytest.approx(5.53, abs=0.01)


def test_mmpp_scaling_keeps_dwell_times():
    """Scaling changes the rates in proportion and leaves the dwell times alone."""
    scaled = azure_code().scaled_to(10.0)
    assert scaled.rate_rps == pytest.approx(10.0)
    assert scaled.mean_dwell_s == azure_code().mean_dwell_s


def test_mmpp_never_arrives_in_a_silent_state():
    """With a rate of zero in one state, gaps as long as that state's dwell appear and time never goes back."""
    times = draw(Mmpp((0.0, 100.0), (50.0, 5.0)), 50_000)
    gaps = np.diff(times)
    assert gaps.min() >= 0
    assert (gaps > 10).sum() > 20


@pytest.mark.parametrize(
    "build",
    [
        lambda: Poisson(0.0),
        lambda: Poisson(math.nan),
        lambda: Deterministic(-1.0),
        lambda: Renewal("pareto", 1.0, 1.0),
        lambda: Renewal("gamma", 1.0, -0.1),
        lambda: Renewal("gamma", math.inf, 1.0),
        lambda: Renewal("gamma", 1.0, 1e-9),
        lambda: Mmpp((1.0,), (1.0,)),
        lambda: Mmpp((1.0, 2.0), (1.0,)),
        lambda: Mmpp((0.0, 0.0), (1.0, 1.0)),
        lambda: Mmpp((1.0, 2.0), (0.0, 1.0)),
        lambda: Mmpp((1.0, -2.0), (1.0, 1.0)),
        lambda: Mmpp((1.0, 2.0), (1.0, 1.0), ((0.0, 0.5), (1.0, 0.0))),
        lambda: Mmpp((1.0, 2.0), (1.0, 1.0), ((0.0, 1.0),)),
        lambda: Mmpp((1, 2, 3), (1, 1, 1), ((0, 1, 0), (1, 0, 0), (0.5, 0.5, 0))),
        lambda: Mmpp.from_transition_matrix((1.0, 2.0), ((0.5, 0.4), (0.5, 0.5))),
        lambda: Mmpp.from_transition_matrix((1.0, 2.0), ((1.0, 0.0), (0.5, 0.5))),
        lambda: Mmpp.from_transition_matrix((1.0, 2.0), ((1.0,), (0.5, 0.5))),
        lambda: ClosedLoop(0),
        lambda: ClosedLoop(1, -1.0),
        lambda: RateProfile((0.0, 1.0), (1.0, 2.0)),
        lambda: RateProfile((1.0, 2.0), (1.0,)),
        lambda: RateProfile((0.0, 2.0, 1.0), (1.0, 1.0)),
        lambda: RateProfile((0.0, 1.0), (0.0,)),
        lambda: RateProfile((0.0, 1.0), (-1.0,)),
        lambda: RateProfile((0.0, 1.0, 2.0), (1.0, 0.0), after="hold"),
        lambda: RateProfile((0.0, 1.0), (1.0,), shape="cubic"),
        lambda: RateProfile((0.0, 1.0), (1.0,), after="stop"),
        lambda: week_profile(1.0, [1.0] * 23, weekend_factor=0.5),
        lambda: week_profile(1.0, [1.0] * 24),
        lambda: week_profile(1.0, [1.0] * 24, weekend_factor=0.5, day_factors=[1.0] * 7),
        lambda: week_profile(1.0, [1.0] * 24, day_factors=[1.0] * 6),
    ],
)
def test_impossible_parameters_are_refused(build):
    """Parameters that describe no process raise a scenario error when the process is built, not while it runs."""
    with pytest.raises(ScenarioError):
        build()


def test_profile_integral_and_inverse_by_hand():
    """Rate 2/s for 10 s, nothing for 5 s, then 1/s for 5 s, repeating: 25 arrivals per 20 s."""
    profile = RateProfile((0.0, 10.0, 15.0, 20.0), (2.0, 0.0, 1.0))
    assert profile.mean_rate_rps == 25 / 20
    np.testing.assert_allclose(
        profile.cumulative(np.array([0, 5, 10, 12, 15, 18, 20, 25])), [0, 10, 20, 20, 20, 23, 25, 35]
    )
    np.testing.assert_allclose(profile.inverse(np.array([0, 10, 19.5, 20, 23, 25, 35])), [0, 5, 9.75, 15, 18, 20, 25])


def test_linear_ramp_by_hand():
    """A ramp from 0 to 4/s in 10 s that then holds: 20 arrivals in the ramp, 4 per second after."""
    ramp = RateProfile((0.0, 10.0), (0.0, 4.0), shape="linear", after="hold")
    assert ramp.mean_rate_rps == 4.0
    np.testing.assert_allclose(ramp.cumulative(np.array([0.0, 5.0, 10.0, 12.0])), [0, 5, 20, 28])
    np.testing.assert_allclose(ramp.inverse(np.array([0.0, 5.0, 20.0, 28.0])), [0, 5, 10, 12])


def test_operational_time_keeps_the_law_of_counts():
    """With a Poisson base, counts per segment are Poisson with the segment's integral as mean and variance."""
    profile = RateProfile((0.0, 10.0, 20.0), (0.5, 4.5))
    per_window = counts(OperationalTime(profile, Poisson(7.0)), 10.0, 20_000)
    for half, mean in ((per_window[0::2], 5.0), (per_window[1::2], 45.0)):
        assert half.mean() == pytest.approx(mean, abs=4 * math.sqrt(mean / len(half)))
        assert half.var() / half.mean() == pytest.approx(1.0, abs=0.06)


def test_operational_time_keeps_season_and_burst_apart():
    """With a bursty base the means stay those of the profile, and the counts are overdispersed (negative twin)."""
    profile = RateProfile((0.0, 10.0, 20.0), (0.5, 4.5))
    per_window = counts(OperationalTime(profile, Renewal("gamma", 1.0, 3.0)), 10.0, 20_000)
    assert per_window[0::2].mean() == pytest.approx(5.0, rel=0.05)
    assert per_window[1::2].mean() == pytest.approx(45.0, rel=0.05)
    assert per_window[1::2].var() / per_window[1::2].mean() > 5


def test_week_profile_has_the_mean_and_the_weekend_asked_for():
    """A week built from an hourly curve averages to the rate asked for; a weekend day has its factor of the mean."""
    day = [0.87, 0.85, 0.79, 0.65, 0.52, 0.43, 0.37, 0.31, 0.29, 0.3, 0.32, 0.48]
    evening = [0.87, 1.48, 2.09, 2.25, 2.13, 2.46, 2.7, 2.76, 2.55, 1.88, 1.36, 1.02]
    hours = np.array(day + evening)
    week = week_profile(27.8, hours.tolist(), weekend_factor=0.40)
    assert week.mean_rate_rps == pytest.approx(27.8)
    rates = np.asarray(week.rates_rps).reshape(7, 24)
    assert rates[5:].mean() / 27.8 == pytest.approx(0.40, abs=0.005)
    days = week_profile(27.8, hours.tolist(), day_factors=(1.23, 1.33, 1.32, 1.28, 1.04, 0.41, 0.39))
    assert max(days.rates_rps) / 27.8 == pytest.approx(3.00, abs=0.05)
