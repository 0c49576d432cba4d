"""Length laws and their combination."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.streams import Streams
from sim.workload.lengths.constant import Constant
from sim.workload.lengths.empirical import Empirical, QuantileTable
from sim.workload.lengths.lengths import Lengths, TraceLengths
from sim.workload.lengths.lognormal import Lognormal
from sim.workload.lengths.uniform import Uniform
from sim.workload.trace.trace import Trace

LAWS = [
    Constant(512),
    Uniform(1024, 0.8, 1.0),
    Lognormal(900, 1.2, max_tokens=8000),
    Lognormal(900, 1.2),
    Lognormal(120_000, 0.35, 64_000, 500_000, "resample"),
    QuantileTable((0.01, 0.5, 0.99), (10, 200, 5000)),
    Empirical((10, 20, 400), (1, 2, 7)),
]


def pairs(lengths, n, seed=0):
    first, second = zip(*islice(lengths.blocks(Streams(seed)), -(-n // 4096)), strict=True)
    return np.concatenate(first)[:n], np.concatenate(second)[:n]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_sample_mean_agrees_with_stated_mean(law):
    """Each law's stated mean is that of its draws, which are whole numbers of at least one token."""
    tokens = law.draw(np.random.default_rng(1), 400_000)
    assert tokens.dtype == np.int64
    assert tokens.min() >= 1
    assert tokens.mean() == pytest.approx(law.mean_tokens, abs=4 * tokens.std() / np.sqrt(len(tokens)) + 1e-9)


def test_lognormal_mean_by_formula():
    """An unbounded lognormal has the mean median x exp(sigma^2 / 2)."""
    assert Lognormal(6200, 1.2).mean_tokens == pytest.approx(6200 * np.exp(0.72), rel=1e-4)


def test_clamping_piles_up_and_resampling_thins():
    """Clamping leaves mass at the bound, as in the Azure code trace; resampling leaves none and lowers the mean."""
    rng = np.random.default_rng(2)
    clamped = Lognormal(1500, 1.36, 3, 7500).draw(rng, 100_000)
    resampled = Lognormal(1500, 1.36, 3, 7500, "resample").draw(rng, 100_000)
    assert clamped.max() == 7500
    assert (clamped == 7500).mean() == pytest.approx(0.118, abs=0.005)
    assert (resampled == 7500).mean() < 1e-3
    assert resampled.max() <= 7500
    assert resampled.mean() < clamped.mean()


def test_uniform_bounds_follow_range_ratio():
    """A range ratio of 0.8 around 1,024 draws 819 to 1,024, both ends included, all equally often."""
    law = Uniform(1024, 0.8)
    tokens = law.draw(np.random.default_rng(3), 300_000)
    assert law.bounds_tokens == (819, 1024)
    assert (tokens.min(), tokens.max()) == (819, 1024)
    assert np.bincount(tokens)[819:].min() > 0.8 * len(tokens) / 206
    assert Uniform(1000, 0.7, 1.1).bounds_tokens == (700, 1100)


def test_quantile_table_hits_its_points():
    """A quantile table returns its own lengths at its own probabilities and is flat beyond them."""
    law = QuantileTable((0.1, 0.5, 0.9), (10, 200, 5000))
    np.testing.assert_array_equal(law.quantile(np.array([0.0, 0.1, 0.5, 0.9, 0.999])), [10, 10, 200, 5000, 5000])


def test_empirical_follows_its_weights():
    """Values come out in proportion to their weights; a value of weight zero never does."""
    tokens = Empirical((10, 20, 30), (1.0, 0.0, 3.0)).draw(np.random.default_rng(4), 40_000)
    assert set(np.unique(tokens)) == {10, 30}
    assert (tokens == 30).mean() == pytest.approx(0.75, abs=0.01)


def test_empirical_of_a_sample_is_that_sample():
    """The law made of observed lengths has their mean and nothing else than their values."""
    observed = np.array([5, 5, 9, 100])
    law = Empirical.of(observed)
    assert law.mean_tokens == observed.mean()
    assert set(law.draw(np.random.default_rng(5), 1000)) == {5, 9, 100}


@pytest.mark.parametrize("wanted", [-0.52, 0.0, 0.42, 0.9])
def test_copula_gives_the_rank_correlation_asked_for(wanted):
    """Input and output have the Spearman correlation asked for, and unchanged margins."""
    from scipy.stats import spearmanr

    lengths = Lengths(Lognormal(20_000, 1.0), Lognormal(20_000, 0.8), rank_correlation=wanted)
    inputs, outputs = pairs(lengths, 100_000)
    assert spearmanr(inputs, outputs).statistic == pytest.approx(wanted, abs=0.012)
    assert np.median(outputs) == pytest.approx(20_000, rel=0.02)


def test_independent_lengths_come_from_separate_streams():
    """Changing the output law leaves every input as it was, and input and output are not tied by one draw."""
    law = Lognormal(900, 1.2)
    inputs, outputs = pairs(Lengths(law, law), 5000)
    again, _ = pairs(Lengths(law, Constant(7)), 5000)
    np.testing.assert_array_equal(inputs, again)
    assert abs(np.corrcoef(np.log(inputs), np.log(outputs))[0, 1]) < 0.06


def test_output_scale_stretches_outputs_only():
    """An output scale of 3 triples each output and leaves inputs alone; never below one token."""
    plain = pairs(Lengths(Constant(100), Uniform(100, 0.5)), 1000)
    scaled = pairs(Lengths(Constant(100), Uniform(100, 0.5), output_scale=3.0), 1000)
    np.testing.assert_array_equal(scaled[0], plain[0])
    np.testing.assert_array_equal(scaled[1], plain[1] * 3)
    tiny = pairs(Lengths(Constant(100), Constant(1), output_scale=0.01), 10)
    assert tiny[1].min() == 1


def test_trace_lengths_repeat_only_when_told():
    """Lengths of a trace end with it, or start again."""
    trace = Trace(np.arange(3.0), np.array([1, 2, 3]), np.array([4, 5, 6]), "made")
    assert [b[0].tolist() for b in TraceLengths(trace).blocks(Streams(0))] == [[1, 2, 3]]
    twice = islice(TraceLengths(trace, repeat=True, output_scale=2.0).blocks(Streams(0)), 2)
    assert [b[1].tolist() for b in twice] == [[8, 10, 12]] * 2


@pytest.mark.parametrize(
    "build",
    [
        lambda: Constant(0),
        lambda: Uniform(0, 0.5),
        lambda: Uniform(100, 0.9, 0.8),
        lambda: Uniform(100, -0.1),
        lambda: Lognormal(0, 1.0),
        lambda: Lognormal(100, 0.0),
        lambda: Lognormal(100, 1.0, 50, 40),
        lambda: Lognormal(100, 0.1, 100_000, None, "resample"),
        lambda: Lognormal(100, 1.0, truncation="cut"),
        lambda: QuantileTable((0.5,), (10,)),
        lambda: QuantileTable((0.5, 0.4), (10, 20)),
        lambda: QuantileTable((0.5, 0.6), (20, 10)),
        lambda: QuantileTable((0.5, 0.6), (0, 10)),
        lambda: QuantileTable((0.5, 1.6), (1, 10)),
        lambda: Empirical(()),
        lambda: Empirical((0, 1)),
        lambda: Empirical((2, 1)),
        lambda: Empirical((1, 2), (1.0,)),
        lambda: Empirical((1, 2), (0.0, 0.0)),
        lambda: Empirical((1, 2), (-1.0, 2.0)),
        lambda: Lengths(Constant(1), Constant(1), rank_correlation=1.5),
        lambda: Lengths(Constant(1), Constant(1), output_scale=0.0),
    ],
)
def test_impossible_laws_are_refused(build):
    """Parameters that describe no law raise a scenario error when the law is built."""
    with pytest.raises(ScenarioError):
        build()
