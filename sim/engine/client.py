"""Clients: they send requests, wait, give up, and try again.

Open load comes from an iterator of draws, one event each. Under closed load a new request follows each that ends. An
attempt that meets no live replica, or is lost to a fault, or outlasts the request timeout, is repeated after an
exponential back-off until `max_retries` is used up; then the request counts as failed (or abandoned, if the client
gave up waiting).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import cast

from simpy import Environment, Event

from sim.engine.clock import CLIENT, call_later
from sim.engine.plan import ClientPolicy
from sim.engine.recorder import Recorder
from sim.engine.replica import Replica
from sim.engine.request import Request, State
from sim.engine.router import Router
from sim.workload.request import RequestDraw

COMPACT = 4096  # finished attempts that may wait for their deadline before the list is swept


class Clients:
    """All clients of the cluster.

    Parameters
    ----------
    draws : requests in order of arrival; under closed load their arrival times are ignored.
    concurrency : requests in flight under closed load, or None for open load.
    think_s : pause between a client's requests under closed load.
    """

    def __init__(
        self,
        env: Environment,
        policy: ClientPolicy,
        record: Recorder,
        draws: Iterator[RequestDraw],
        longest_tokens: int,
        concurrency: int | None = None,
        think_s: float = 0.0,
        max_requests: int | None = None,
    ) -> None:
        self._env = env
        self._policy = policy
        self._record = record
        self._draws = draws
        self._longest_tokens = longest_tokens
        self._concurrency = concurrency
        self._think_s = think_s
        self._left = max_requests if max_requests is not None else -1
        self._router: Router | None = None
        self._homes: dict[Request, Replica] = {}
        self._resting: dict[Request, None] = {}
        self._deadlines: deque[tuple[float, Request, int]] = deque()
        self._watching = False
        self.longest_refused_tokens = 0
        self.exhausted = False

    def start(self, router: Router) -> None:
        """Begin to send."""
        self._router = router
        if self._concurrency is None:
            self._next_arrival()
        else:
            for _ in range(self._concurrency):
                self._send_closed()

    # ---- arrivals -----------------------------------------------------------------------------------------------

    def _draw(self) -> RequestDraw | None:
        if self._left == 0:
            self.exhausted = True
            return None
        draw = next(self._draws, None)
        if draw is None:
            self.exhausted = True
        elif self._left > 0:
            self._left -= 1
        return draw

    def _next_arrival(self) -> None:
        draw = self._draw()
        if draw is not None:
            env = self._env
            call_later(env, max(0.0, draw.arrival_s - env.now), CLIENT, self._arrive, draw)

    def _arrive(self, event: Event) -> None:
        self._send(cast("RequestDraw", event.value))
        self._next_arrival()

    def _send_closed(self) -> None:
        draw = self._draw()
        if draw is not None:
            self._send(draw)

    def _send(self, draw: RequestDraw) -> None:
        now = self._env.now
        request = Request(now, draw.input_tokens, draw.output_tokens, draw.session_id)
        self._record.arrived(now)
        tokens = draw.input_tokens + draw.output_tokens
        if tokens > self._longest_tokens:
            self.longest_refused_tokens = max(self.longest_refused_tokens, tokens)
            self._record.totals.refused += 1
            self._end(request, State.REFUSED)
            return
        self._attempt(request)

    # ---- attempts -----------------------------------------------------------------------------------------------

    def _attempt(self, request: Request) -> None:
        assert self._router is not None
        self._record.totals.attempts += 1
        request.attempt_s = self._env.now
        replica = self._router.choose()
        if replica is None:
            self.retry(request, State.FAILED)
            return
        self._homes[request] = replica
        self._deadlines.append((self._env.now + self._policy.request_timeout_s, request, request.attempt))
        if not self._watching:
            self._watch()
        elif len(self._deadlines) > 4 * len(self._homes) + COMPACT:
            self._deadlines = deque(entry for entry in self._deadlines if not self._over(*entry[1:]))
        replica.submit(request)

    def retry(self, request: Request, otherwise: State) -> None:
        """Try again after a back-off, or end with the fate `otherwise` when no retry is left."""
        self._homes.pop(request, None)
        policy = self._policy
        if request.attempt >= policy.max_retries:
            if otherwise is State.FAILED:
                self._record.totals.failed += 1
            else:
                self._record.totals.abandoned += 1
            self._end(request, otherwise)
            return
        delay_s = policy.retry_backoff_s * policy.retry_backoff_factor**request.attempt
        request.attempt += 1
        request.state = State.BACKOFF
        self._record.totals.retries += 1
        self._resting[request] = None
        call_later(self._env, delay_s, CLIENT, self._again, request)

    def _again(self, event: Event) -> None:
        request = cast("Request", event.value)
        del self._resting[request]
        self._attempt(request)

    def lost(self, requests: list[Request]) -> None:
        """Attempts that a fault killed."""
        self._record.totals.killed += len(requests)
        for request in requests:
            self.retry(request, State.FAILED)

    def finished(self, request: Request) -> None:
        """A replica is done with a request: completed, or withdrawn after a timeout."""
        if request.state is State.COMPLETED:
            del self._homes[request]
            if self._concurrency is not None:
                self._follow()
            return
        self.retry(request, State.ABANDONED)

    def _end(self, request: Request, fate: State) -> None:
        request.state = fate
        self._record.left(request, self._env.now)
        if self._concurrency is not None:
            self._follow()

    def _follow(self) -> None:
        call_later(self._env, self._think_s, CLIENT, self._closed_again)

    def _closed_again(self, _event: Event) -> None:
        self._send_closed()

    # ---- timeouts: one timer for the oldest attempt, since all wait equally long ---------------------------------

    def _watch(self) -> None:
        deadlines = self._deadlines
        while deadlines and self._over(*deadlines[0][1:]):
            deadlines.popleft()
        self._watching = bool(deadlines)
        if deadlines:
            call_later(self._env, max(0.0, deadlines[0][0] - self._env.now), CLIENT, self._expire)

    def _over(self, request: Request, attempt: int) -> bool:
        """Whether an attempt needs no watching any more."""
        return request.done or request.attempt != attempt or request not in self._homes

    def _expire(self, _event: Event) -> None:
        now, deadlines = self._env.now, self._deadlines
        while deadlines and deadlines[0][0] <= now:
            _, request, attempt = deadlines.popleft()
            if not self._over(request, attempt):
                self._record.totals.timeouts += 1
                self._homes[request].cancel(request)
        self._watch()

    @property
    def backing_off(self) -> list[Request]:
        """Requests between two attempts."""
        return list(self._resting)
