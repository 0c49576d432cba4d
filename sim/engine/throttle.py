"""Parts of a load of which a bounded number is under way: closed loops beside open load, and backfill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from simpy import Environment, Event

from sim.engine.clock import CLIENT, call_later
from sim.workload.request import RequestDraw
from sim.workload.sessions.session import Session


@dataclass(frozen=True, slots=True)
class Throttled:
    """One part.

    Attributes
    ----------
    tenant : index of the part, which its requests carry.
    draws : what it sends, in order; none is sent before its `arrival_s`.
    limit : most requests in flight, or sessions under way.
    pause_s : pause between an ending and what follows it.
    """

    tenant: int
    draws: Iterator[RequestDraw | Session]
    limit: int
    pause_s: float = 0.0


class Throttles:
    """Sends the next of a part when one of its own has ended.

    Parameters
    ----------
    parts : each with a limit of its own.
    failure_pause_s : least pause after one that did not complete, so that an outage is no endless loop.
    send : called at the moment at which a request or session is sent.
    dry : called when a place finds nothing more to send.

    Attributes
    ----------
    pending : places that wait for a pause or a release to be over.
    """

    def __init__(
        self,
        env: Environment,
        parts: Sequence[Throttled],
        failure_pause_s: float,
        send: Callable[[RequestDraw | Session], None],
        dry: Callable[[], None],
    ) -> None:
        self._env = env
        self._parts = {part.tenant: part for part in parts}
        self._failure_pause_s = failure_pause_s
        self._send = send
        self._dry = dry
        self.pending = 0

    def start(self) -> None:
        """Fill every place."""
        for part in self._parts.values():
            for _ in range(part.limit):
                if not self._fill(part):
                    break

    def ended(self, tenant: int, *, completed: bool) -> None:
        """A request or session of a part ended; nothing follows where its part has no limit."""
        part = self._parts.get(tenant)
        if part is not None:
            pause_s = part.pause_s if completed else max(part.pause_s, self._failure_pause_s)
            self.pending += 1
            call_later(self._env, pause_s, CLIENT, self._again, part)

    def _again(self, event: Event) -> None:
        self.pending -= 1
        if not self._fill(cast("Throttled", event.value)):
            self._dry()

    def _fill(self, part: Throttled) -> bool:
        """Send the next one, now or at its release; whether there was one."""
        draw = next(part.draws, None)
        if draw is None:
            return False
        wait_s = draw.arrival_s - self._env.now
        if wait_s > 0.0:
            self.pending += 1
            call_later(self._env, wait_s, CLIENT, self._released, draw)
        else:
            self._send(draw)
        return True

    def _released(self, event: Event) -> None:
        self.pending -= 1
        self._send(cast("RequestDraw | Session", event.value))
