"""Events at equal times: the order is a contract.

At one instant things happen in this order, whatever the order in which they were scheduled:

1. the end of the run (SimPy's `run(until=...)`),
2. faults, repairs and restarts (SimPy processes, priority 1),
3. clients: arrivals, retries, timeouts (priority 2),
4. step boundaries of replicas (priority 3).

So an arrival at exactly a step boundary is seen by the batch that forms there, and a fault at that instant loses the
step. Within one kind, first scheduled is first served.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from simpy import Environment, Event

CLIENT: Final = 2
BOUNDARY: Final = 3

Callback = Callable[[Event], None]


def call_later(env: Environment, delay_s: float, priority: Any, callback: Callback, value: object = None) -> None:
    """Call `callback(event)` after `delay_s` seconds, with `event.value` set; it cannot be cancelled."""
    event = Event(env)
    event._ok = True  # noqa: SLF001 - SimPy offers no public way to schedule an event with a chosen priority
    event._value = value  # noqa: SLF001
    event.callbacks.append(callback)
    env.schedule(event, priority, delay_s)
