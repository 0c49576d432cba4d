"""A pipe that KV travels through: PCIe between host and GPUs of a node, or the network of a node.

First come, first served, one transfer at a time: a transfer has the whole bandwidth once those before it are through.
The latency of a transfer is not part of its service, so the next one may begin meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from simpy import Environment, Event

from sim.engine.clock import CLIENT, Alarm


class Link:
    """One pipe, shared by everybody who holds it.

    Parameters
    ----------
    bytes_per_s : bandwidth.
    latency_s : from the last byte sent to the transfer being over.

    Attributes
    ----------
    free_s : when what was sent so far is through.
    sent_bytes, busy_s : all that was sent, and the time it takes.
    """

    __slots__ = ("_bytes_per_s", "_env", "_latency_s", "busy_s", "free_s", "sent_bytes")

    def __init__(self, env: Environment, bytes_per_s: float, latency_s: float = 0.0) -> None:
        self._env = env
        self._bytes_per_s = bytes_per_s
        self._latency_s = latency_s
        self.free_s = 0.0
        self.sent_bytes = 0.0
        self.busy_s = 0.0

    @property
    def backlog_s(self) -> float:
        """How long something sent now would wait."""
        return max(0.0, self.free_s - self._env.now)

    def send(self, size_bytes: float, not_before_s: float = 0.0) -> float:
        """Send something; returns when it is over.

        Parameters
        ----------
        not_before_s : when it is there to be sent; the pipe stays idle until then.
        """
        seconds = size_bytes / self._bytes_per_s
        self.free_s = max(self._env.now, self.free_s, not_before_s) + seconds
        self.sent_bytes += size_bytes
        self.busy_s += seconds
        return self.free_s + self._latency_s


def call_at(env: Environment, at_s: float, callback: Callable[[], None]) -> None:
    """Call a function when a transfer is over; at equal times before the step boundaries of replicas."""

    def ring(_event: Event) -> None:
        callback()

    Alarm(env, CLIENT, ring).set(max(env.now, at_s))
