"""A level in time, integrated exactly at its changes rather than sampled."""

from __future__ import annotations


class TimeWeighted:
    """A piecewise-constant level, such as the number of requests in the system.

    Attributes
    ----------
    level : now.
    maximum : highest level so far.
    """

    __slots__ = ("_area", "_last_s", "level", "maximum")

    def __init__(self, level: float = 0.0, now_s: float = 0.0) -> None:
        self.level = level
        self.maximum = level
        self._area = 0.0
        self._last_s = now_s

    def add(self, now_s: float, change: float) -> None:
        """Change the level at a time that is not before the last change."""
        self._area += self.level * (now_s - self._last_s)
        self._last_s = now_s
        self.level += change
        if self.level > self.maximum:  # noqa: PLR1730 - a call costs more than the rest of the line
            self.maximum = self.level

    def integral(self, now_s: float) -> float:
        """Integral of the level from the start to `now_s`, in units of the level times seconds."""
        return self._area + self.level * (now_s - self._last_s)
