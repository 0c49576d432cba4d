"""Intervals against hand-computed values and library routes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sim.stats.control import controlled, controlled_interval
from sim.stats.estimate import Estimate, student_factor
from sim.stats.mean import batch_means_interval, mean_interval, standard_error
from sim.stats.paired import paired_difference
from sim.stats.quantile import Bins, exceedance_frac, pooled_quantile
from sim.stats.ratio import ratio_interval
from sim.stats.warmup import mser5


def test_student_factor() -> None:
    """The factor of Student's law, by table."""
    assert student_factor(9) == pytest.approx(2.2621572, rel=1e-7)
    assert student_factor(19) == pytest.approx(2.0930241, rel=1e-7)
    assert student_factor(4, 0.9) == pytest.approx(2.1318468, rel=1e-7)


def test_mean_interval_agrees_with_scipy() -> None:
    """Student's interval of a mean, by scipy.stats."""
    values = [4.0, 7.0, 6.5, 5.2, 9.1]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    estimate = mean_interval(values)

    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((np.mean(values), low, high), rel=1e-12)
    assert estimate.covers(6.0)
    assert not estimate.covers(60.0)


def test_one_replication_has_no_interval() -> None:
    """The figure is given, the interval is not, and the note says why."""
    for estimate in (mean_interval([3.0]), ratio_interval([3.0], [1.0])):
        assert (estimate.value, estimate.low, estimate.high) == (3.0, None, None)
        assert "one replication" in estimate.note


def test_a_missing_side_is_unbounded() -> None:
    """An interval without an upper end covers everything above its lower one."""
    assert Estimate(1.0, 0.5, None).covers(1e9)
    assert not Estimate(1.0, 0.5, None).covers(0.4)


def test_batch_means() -> None:
    """Four batches of two: the interval of their means, around the mean of all values."""
    values = [1.0, 3.0, 2.0, 4.0, 5.0, 5.0, 0.0, 4.0]
    expected = mean_interval([2.0, 3.0, 5.0, 2.0])

    assert batch_means_interval(values, batches=4) == expected
    with pytest.raises(ValueError, match="two batches"):
        batch_means_interval(values, batches=5)


def test_ratio_is_sum_over_sum_less_its_bias() -> None:
    """The jackknife of three pairs, by hand."""
    top, bottom = np.array([2.0, 3.0, 7.0]), np.array([1.0, 2.0, 3.0])
    whole, without = 12 / 6, np.array([10 / 5, 9 / 4, 5 / 3])
    estimate = ratio_interval(top, bottom)

    assert estimate.value == pytest.approx(3 * whole - 2 * without.mean())


def test_a_constant_ratio_has_no_width() -> None:
    """Numerators twice the denominators give two, exactly, however much they vary."""
    bottom = np.array([1.0, 10.0, 100.0, 3.0])
    estimate = ratio_interval(2.0 * bottom, bottom)

    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((2.0, 2.0, 2.0))


def test_ratio_refuses_a_zero_denominator() -> None:
    """Nothing was served: there is no cost per token."""
    with pytest.raises(ValueError, match="denominator of a ratio is zero"):
        ratio_interval([1.0, 1.0], [0.0, 1.0])


def test_paired_difference_cancels_what_is_common() -> None:
    """Common noise of size 100 leaves a difference of exactly one."""
    noise = 100.0 * np.random.default_rng(1).standard_normal(8)
    estimate = paired_difference(noise, noise + 1.0)

    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference([1.0, 2.0], [1.0])


def test_controls_remove_a_linear_dependence() -> None:
    """A figure that is 5 + 3 c has the controlled mean 5 without noise; without controls it is the plain mean."""
    control = np.array([0.3, -0.1, 0.7, 0.2, -0.4])
    mean, error, degrees = controlled(5.0 + 3.0 * control, control)
    plain, plain_error, plain_degrees = controlled(control, np.empty((5, 0)))

    assert (mean, error, degrees) == (pytest.approx(5.0), pytest.approx(0.0, abs=1e-12), 3)
    assert (plain, plain_error) == pytest.approx((control.mean(), standard_error(control)))
    assert plain_degrees == 4
    assert controlled_interval(control, np.empty((5, 0))).low == pytest.approx(mean_interval(control).low)
    with pytest.raises(ValueError, match="not enough replications"):
        controlled([1.0, 2.0], [0.1, 0.2])


def test_pooled_quantile_is_the_inverted_cdf() -> None:
    """Pooled over replications of unequal size, numpy's `inverted_cdf` of all samples."""
    rng = np.random.default_rng(2)
    samples = [rng.exponential(size=size) for size in (400, 1000, 50)]
    bins = Bins.of_samples(samples)

    for p in (0.1, 0.5, 0.99):
        expected = np.quantile(np.concatenate(samples), p, method="inverted_cdf")
        assert pooled_quantile(bins, p).value == expected


def test_woodruff_interval_by_hand() -> None:
    """Equal replications: the pooled quantiles at p -+ t sd(share above) / sqrt(R)."""
    rng = np.random.default_rng(3)
    samples = [rng.exponential(scale=1 + 0.2 * r, size=500) for r in range(5)]
    everything = np.concatenate(samples)
    p = 0.9
    value = np.quantile(everything, p, method="inverted_cdf")
    shares = [(sample > value).mean() for sample in samples]
    half = student_factor(4) * np.std(shares, ddof=1) / np.sqrt(5)
    estimate = pooled_quantile(Bins.of_samples(samples), p)

    assert estimate.low == np.quantile(everything, p - half, method="inverted_cdf")
    assert estimate.high == np.quantile(everything, p + half, method="inverted_cdf")


def test_too_few_samples_for_a_percentile() -> None:
    """999 samples give no p99, and the note says how many are needed; 1,000 do."""
    few = pooled_quantile(Bins.of_samples([np.arange(999.0)]), 0.99)
    enough = pooled_quantile(Bins.of_samples([np.arange(500.0), np.arange(500.0, 1000.0)]), 0.99)

    assert few.value is None
    assert few.note == "too few samples for p99: 999, needs 1,000"
    assert enough.value == 989.0
    assert pooled_quantile(Bins.of_samples([np.arange(9.0)]), 0.01).value is None


def test_an_unbounded_tail_is_said() -> None:
    """When replications disagree so much that the tail probability may be zero, there is no upper end."""
    estimate = pooled_quantile(Bins.of_samples([np.arange(500.0), np.arange(500.0) + 10_000]), 0.95)

    assert estimate.high is None
    assert "unbounded above" in estimate.note
    assert estimate.low is not None


def test_replications_without_samples_do_not_count() -> None:
    """An empty replication changes neither the quantile nor its interval."""
    rng = np.random.default_rng(4)
    samples = [rng.exponential(size=300) for _ in range(4)]
    full = Bins.of_samples(samples)
    padded = Bins(np.vstack((full.counts, np.zeros_like(full.counts[:1]))), full.values)

    assert pooled_quantile(padded, 0.9) == pooled_quantile(full, 0.9)
    assert np.isnan(exceedance_frac(padded, 0)[-1])


@pytest.mark.parametrize(
    ("counts", "values", "message"),
    [
        ([[1, 2]], [1.0], "do not fit"),
        ([[1, -2]], [1.0, 2.0], "must not be negative"),
        ([[1, 2]], [2.0, 1.0], "must not decrease"),
    ],
)
def test_bins_are_checked(counts: list[list[int]], values: list[float], message: str) -> None:
    """Shapes, signs and order."""
    with pytest.raises(ValueError, match=message):
        Bins(np.array(counts), np.array(values))


def test_mser5_finds_a_step() -> None:
    """Two hundred values of ten, then noise around zero: all the two hundred go, and at most fifty more."""
    noise = np.random.default_rng(5).standard_normal(2000)
    noise[:200] += 10.0

    assert 200 <= mser5(noise).delete <= 250
    assert mser5(noise).reliable


def test_mser5_keeps_a_stationary_run_and_doubts_a_trend() -> None:
    """Nothing to speak of is deleted from noise; a run that drifts to its end is called unreliable."""
    noise = np.random.default_rng(6).standard_normal(2000)

    assert mser5(noise).delete <= 200
    assert not mser5(np.linspace(0.0, 10.0, 2000) + 0.01 * noise).reliable


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([]), "one row of values"),
        (lambda: mean_interval([1.0, float("nan")]), "must be finite"),
        (lambda: student_factor(0), "degree of freedom"),
        (lambda: student_factor(3, 1.0), "confidence"),
        (lambda: mser5([1.0] * 19), "at least 20"),
        (lambda: pooled_quantile(Bins.of_samples([np.arange(99.0)]), 1.0), "between 0 and 1"),
        (lambda: standard_error([1.0]), "two values"),
        (lambda: ratio_interval([1.0], [1.0, 2.0]), "numerators against"),
    ],
)
def test_bad_arguments_are_refused(call: object, message: str) -> None:
    """Each with a sentence."""
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
