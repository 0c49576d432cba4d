"""Balls in bins in closed form."""

from __future__ import annotations

from itertools import product

import pytest

from sim.oracle.balls_in_bins import fullest_at_most_frac, mean_fullest


@pytest.mark.parametrize(
    ("balls", "bins", "mean"), [(64, 8, "12.235295"), (64, 16, "7.8803832"), (16, 16, "3.0782468")]
)
def test_golden_means(balls: int, bins: int, mean: str) -> None:
    """Expected load of the fullest bin, to every printed digit (by sampling: 12.2350(14), 7.878(1), 3.078(1))."""
    assert f"{mean_fullest(balls, bins):.{len(mean) - 1 - len(mean.partition('.')[0])}f}" == mean


@pytest.mark.parametrize(("balls", "bins"), [(1, 1), (1, 4), (5, 2), (6, 3), (4, 5)])
def test_small_cases_by_counting(balls: int, bins: int) -> None:
    """Law and mean agree with counting every way to throw the balls."""
    fullest = [max(throw.count(one) for one in range(bins)) for throw in product(range(bins), repeat=balls)]
    assert mean_fullest(balls, bins) == pytest.approx(sum(fullest) / len(fullest), rel=1e-12)
    for most in range(balls + 1):
        share = sum(found <= most for found in fullest) / len(fullest)
        assert fullest_at_most_frac(balls, bins, most) == pytest.approx(share, abs=1e-12)


def test_what_cannot_be_thrown_is_refused() -> None:
    """No balls, no bins, or more balls than the convolution is meant for."""
    for balls, bins in ((0, 4), (4, 0), (4097, 16)):
        with pytest.raises(ValueError, match="must be"):
            mean_fullest(balls, bins)
