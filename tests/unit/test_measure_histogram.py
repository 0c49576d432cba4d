"""Log histograms: the promised relative error, exact merging, and nothing dropped."""

from __future__ import annotations

import numpy as np
import pytest
from ddsketch import DDSketch
from hypothesis import given
from hypothesis import strategies as st

from sim.measure.histogram import HIGHEST, LOWEST, RELATIVE_ERROR, BufferedHistogram, LogHistogram, pooled

VALUES = st.lists(st.floats(LOWEST, HIGHEST), min_size=1, max_size=50)
SHARES = (0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0)


def histogram(values: object) -> LogHistogram:
    made = LogHistogram()
    made.add_many(values)  # type: ignore[arg-type]
    return made


def same(left: LogHistogram, right: LogHistogram) -> bool:
    edges = ("zeros", "below", "above", "minimum", "maximum")
    return bool((left.counts == right.counts).all()) and all(getattr(left, e) == getattr(right, e) for e in edges)


@given(VALUES, st.floats(0.0, 1.0))
def test_every_quantile_is_within_the_relative_error(values: list[float], p: float) -> None:
    """Against numpy's `inverted_cdf` of the values themselves."""
    exact = float(np.quantile(values, p, method="inverted_cdf"))

    assert histogram(values).quantile(p) == pytest.approx(exact, rel=RELATIVE_ERROR * (1 + 1e-9))


@pytest.mark.parametrize("law", ["lognormal", "exponential", "pareto"])
def test_it_agrees_with_ddsketch(law: str) -> None:
    """Both promise the same relative error, so they differ by at most twice that, and from the exact by once."""
    rng = np.random.default_rng(7)
    values = {
        "lognormal": rng.lognormal(0.0, 2.0, 20_000),
        "exponential": rng.exponential(3.0, 20_000),
        "pareto": 1.0 + rng.pareto(1.5, 20_000),
    }[law]
    sketch = DDSketch(RELATIVE_ERROR)
    for value in values.tolist():
        sketch.add(value)
    made = histogram(values)

    for p in SHARES[1:-1]:
        theirs = sketch.get_quantile_value(p)
        assert made.quantile(p) == pytest.approx(theirs, rel=2.1 * RELATIVE_ERROR)
        exact = np.quantile(values, p, method="inverted_cdf")
        assert made.quantile(p) == pytest.approx(exact, rel=RELATIVE_ERROR * (1 + 1e-9))


@given(VALUES, VALUES, VALUES)
def test_merging_is_exact_in_any_order(a: list[float], b: list[float], c: list[float]) -> None:
    """Three parts in two orders, and all values in one: the same counts, bit for bit."""
    parts = [histogram(values) for values in (a, b, c)]
    forward, backward, whole = pooled(parts), pooled(reversed(parts)), histogram(a + b + c)

    assert same(forward, backward)
    assert same(forward, whole)
    assert forward.mean == pytest.approx(np.mean(a + b + c), rel=1e-12)


def test_merging_leaves_the_parts_alone() -> None:
    """Pooling twice gives the same, because no part changes."""
    parts = [histogram([1.0, 2.0]), histogram([3.0])]

    assert pooled(parts).count == pooled(parts).count == 3
    assert [part.count for part in parts] == [2, 1]


@given(
    st.lists(
        st.tuples(st.floats(1e-4, 10.0), st.floats(0.0, 1e-2), st.integers(1, 400), st.integers(1, 300)),
        min_size=1,
        max_size=5,
    )
)
def test_ramps_equal_step_by_step_adds(ramps: list[tuple[float, float, int, int]]) -> None:
    """Counts and sum agree exactly; every quantile within three relative errors, since a piece counts at its mean."""
    stepwise, at_once = LogHistogram(), LogHistogram()
    for first, slope, steps, weight in ramps:
        stepwise.add_many(first + slope * np.arange(steps), np.full(steps, weight))
    at_once.add_ramps(*(np.array(column) for column in zip(*ramps, strict=True)))

    assert at_once.count == stepwise.count
    assert at_once.sum == pytest.approx(stepwise.sum, rel=1e-9)
    for p in SHARES:
        assert at_once.quantile(p) == pytest.approx(stepwise.quantile(p), rel=3 * RELATIVE_ERROR)


def test_a_flat_ramp_is_one_value() -> None:
    """Without slope a ramp is one value with the weight of all its steps, exactly."""
    at_once, stepwise = LogHistogram(), LogHistogram()
    at_once.add_ramps([0.02], [0.0], [1000], [64])
    stepwise.add(0.02, 64_000)

    assert same(at_once, stepwise)


def test_zero_below_and_above_the_grid_are_counted_apart() -> None:
    """Each kind has its counter, quantiles walk through them in order, and nothing is lost."""
    made = histogram([0.0, 0.0, LOWEST / 10, 1.0, HIGHEST * 10])

    assert (made.zeros, made.below, made.above, made.count) == (2, 1, 1, 5)
    assert made.quantile(0.4) == 0.0
    assert 0.0 < made.quantile(0.6) <= LOWEST
    assert made.quantile(0.8) == pytest.approx(1.0, rel=RELATIVE_ERROR)
    assert made.quantile(1.0) == HIGHEST * 10
    assert made.exceedance_frac(0.5) == pytest.approx(2 / 5)
    assert made.exceedance_frac(0.0) == pytest.approx(2 / 5)


def test_the_edges_of_the_grid_are_inside() -> None:
    """Lowest and highest themselves are neither below nor above."""
    made = histogram([LOWEST, HIGHEST])

    assert (made.below, made.above) == (0, 0)
    assert made.quantile(0.5) == pytest.approx(LOWEST, rel=RELATIVE_ERROR)
    assert made.quantile(1.0) == pytest.approx(HIGHEST, rel=RELATIVE_ERROR)


@given(VALUES, st.floats(LOWEST, HIGHEST))
def test_exceedance_is_the_share_above_up_to_one_bin(values: list[float], level: float) -> None:
    """Between the shares above the level stretched and shrunk by one bin."""
    made = histogram(values)
    width = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR) * (1 + 1e-9)

    share = made.exceedance_frac(level)
    assert np.mean(np.array(values) > level * width) <= share + 1e-12
    assert share <= np.mean(np.array(values) > level / width) + 1e-12


def test_the_tail_ends_at_zero() -> None:
    """Values rise, shares above them fall from one less the first bin to none."""
    values, shares = histogram([1.0, 2.0, 2.0, 4.0]).tail()

    assert values == pytest.approx([1.0, 2.0, 4.0], rel=RELATIVE_ERROR)
    assert shares == pytest.approx([0.75, 0.25, 0.0])


def test_an_empty_histogram_has_no_figures() -> None:
    """NaN, not zero."""
    empty = LogHistogram()

    assert empty.count == 0
    assert np.isnan([empty.mean, empty.quantile(0.5), empty.exceedance_frac(1.0)]).all()


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_impossible_values_are_refused(value: float) -> None:
    """A negative or infinite latency is a defect upstream, not a sample."""
    with pytest.raises(ValueError, match="finite values that are not negative"):
        histogram([1.0, value])


def test_a_buffered_histogram_flushes_everything() -> None:
    """Pending values and ramps end in the same bins as direct adds, and the buffers are empty afterwards."""
    buffered, direct = BufferedHistogram(), LogHistogram()
    buffered.pending += [0.1, 0.2]
    buffered.pending_ramps.append((0.02, 1e-5, 50, 3))
    buffered.flush()
    direct.add_many([0.1, 0.2])
    direct.add_ramps([0.02], [1e-5], [50], [3])

    assert same(buffered, direct)
    assert buffered.pending == []
    assert buffered.pending_ramps == []
    buffered.flush()
    assert buffered.count == 152
