"""A function of one number, given at points and linear between them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping


class Curve:
    """Seconds at increasing places; linear between them, and flat below the first.

    Attributes
    ----------
    places, seconds : the points.
    """

    __slots__ = ("places", "seconds")

    def __init__(self, points: Mapping[int, float]) -> None:
        self.places = sorted(points)
        self.seconds = [points[place] for place in self.places]

    @property
    def last(self) -> int:
        """The largest place."""
        return self.places[-1]

    def at(self, place: float) -> float:
        """Value; beyond the last point it goes on as it came, but never falls."""
        index = bisect_right(self.places, place)
        if index == 0:
            return self.seconds[0]
        if index == len(self.places):
            return self.seconds[-1] + (place - self.places[-1]) * self.last_slope_s
        low, high = self.places[index - 1], self.places[index]
        share = (place - low) / (high - low)
        return self.seconds[index - 1] + share * (self.seconds[index] - self.seconds[index - 1])

    def in_proportion(self, place: float) -> float:
        """Value; beyond the last point in proportion to the place, which no batch of the same work exceeds."""
        last = self.places[-1]
        return self.at(place) if place <= last else max(0.0, self.seconds[-1]) * place / last

    @property
    def last_slope_s(self) -> float:
        """Growth per unit beyond the last point, not below zero."""
        if len(self.places) == 1:
            return 0.0
        rise_s = self.seconds[-1] - self.seconds[-2]
        return max(0.0, rise_s / (self.places[-1] - self.places[-2]))


def bracket(levels: list[int], value: float) -> tuple[int, int, float]:
    """(level below, level above, share of the latter); the nearest level twice outside of them."""
    index = bisect_right(levels, value)
    if index == 0:
        return levels[0], levels[0], 0.0
    if index == len(levels):
        return levels[-1], levels[-1], 0.0
    low, high = levels[index - 1], levels[index]
    return low, high, (value - low) / (high - low)
