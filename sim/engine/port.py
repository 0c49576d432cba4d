"""The network cards of one attention rank: first come, first served."""

from __future__ import annotations


class Port:
    """A link that serves transfers one after another at its full rate.

    Attributes
    ----------
    free_s : when it has served all that was asked of it.
    booked_s : seconds of service asked of it since the start.
    """

    __slots__ = ("_bytes_per_s", "booked_s", "free_s")

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self.free_s = self.booked_s = 0.0

    def book(self, now_s: float, amount_bytes: float) -> float:
        """Queue a transfer; returns when its last byte has passed."""
        seconds = amount_bytes / self._bytes_per_s
        self.booked_s += seconds
        self.free_s = max(now_s, self.free_s) + seconds
        return self.free_s

    def busy_s(self, now_s: float) -> float:
        """Seconds of service given until now."""
        return self.booked_s - max(0.0, self.free_s - now_s)

    def clear(self, now_s: float) -> None:
        """Forget what is queued; the replica died."""
        self.booked_s = self.busy_s(now_s)
        self.free_s = min(self.free_s, now_s)
