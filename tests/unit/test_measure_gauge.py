"""A level in time is integrated exactly at its changes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.measure.gauge import TimeWeighted


def test_integral_by_hand() -> None:
    """Level 2 for 3 s, then 5 for 2 s, then 1 until 10 s."""
    gauge = TimeWeighted(2.0)
    gauge.add(3.0, 3.0)
    gauge.add(5.0, -4.0)

    assert gauge.integral(10.0) == 2 * 3 + 5 * 2 + 1 * 5
    assert (gauge.level, gauge.maximum) == (1.0, 5.0)


def test_reading_does_not_change_it() -> None:
    """Reading early or twice leaves the integral as it is, and a start other than zero counts from there."""
    gauge = TimeWeighted(1.0, now_s=4.0)

    assert gauge.integral(6.0) == gauge.integral(6.0) == 2.0
    gauge.add(8.0, 1.0)
    assert gauge.integral(9.0) == 6.0


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.integers(-3, 5)), max_size=30))
def test_integral_is_the_sum_over_pieces(changes: list[tuple[float, int]]) -> None:
    """Any sequence of changes, several at one instant too, against a plain sum of level times duration."""
    changes = sorted(changes)
    gauge = TimeWeighted()
    for at_s, change in changes:
        gauge.add(at_s, change)
    edges = [0.0, *(at_s for at_s, _ in changes), 101.0]
    levels = [sum(change for _, change in changes[:index]) for index in range(len(changes) + 1)]

    expected = sum(level * (end - start) for level, (start, end) in zip(levels, pairwise(edges), strict=True))
    assert gauge.integral(101.0) == pytest.approx(expected, abs=1e-9)
    assert gauge.maximum == max(0, *levels) if levels else gauge.maximum == 0
