"""Events at equal times: the order is a contract.

At one instant things happen in this order, whatever the order in which they were scheduled:

1. the end of the horizon (SimPy's `run(until=...)`),
2. faults, repairs and restarts: the transitions of a plan in its order, and the autoscaler,
3. the end of the warm-up,
4. clients: arrivals, retries, timeouts; transfers of KV that are over,
5. step boundaries of replicas,
6. the end of a run whose load has run out.

So an arrival at exactly a step boundary is seen by the batch that forms there, and a fault at that instant loses the
step. Within one kind, first scheduled is first served.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from typing import Any, Final

from simpy import Environment, Event

FAULT: Final = 1
WARMUP: Final = 2
CLIENT: Final = 3
BOUNDARY: Final = 4
LAST: Final = 5

Callback = Callable[[Event], None]


class Alarm(Event):
    """An event that calls one function at a chosen time and priority; it can be set again once it has rung.

    SimPy schedules by delay only; an absolute time does not lose the last bits of a sum. Setting an alarm that has not
    rung yet is a mistake: take a new one, and let the old one ring in vain.
    """

    def __init__(self, env: Environment, priority: Any, callback: Callback) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        self._calls = [callback]
        self._priority = priority

    def set(self, at_s: float) -> None:
        """Ring at `at_s`, which must not be in the past."""
        self.callbacks = self._calls
        env = self.env
        heappush(env._queue, (at_s, self._priority, next(env._eid), self))  # noqa: SLF001 - as Environment.schedule


def call_later(env: Environment, delay_s: float, priority: Any, callback: Callback, value: object = None) -> None:
    """Call `callback(event)` after `delay_s` seconds, with `event.value` set; it cannot be cancelled."""
    event = Event(env)
    event._ok = True  # noqa: SLF001 - SimPy offers no public way to schedule an event with a chosen priority
    event._value = value  # noqa: SLF001
    event.callbacks.append(callback)
    env.schedule(event, priority, delay_s)
