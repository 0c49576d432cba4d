"""The token bucket: what gateways and providers limit rates with."""

from __future__ import annotations


class Bucket:
    """A token bucket: fills at a rate up to its size, and starts full."""

    __slots__ = ("_at_s", "_level", "_rate_per_s", "_size")

    def __init__(self, rate_per_s: float, size: float) -> None:
        self._rate_per_s = rate_per_s
        self._size = self._level = size
        self._at_s = 0.0

    def covers(self, amount: float, now_s: float) -> bool:
        """Whether `amount`, or the whole bucket if that is less, is there now."""
        self._level = min(self._size, self._level + self._rate_per_s * (now_s - self._at_s))
        self._at_s = now_s
        return self._level >= min(amount, self._size)

    def take(self, amount: float) -> None:
        """Take `amount`, into debt if it is more than the bucket holds."""
        self._level -= amount
