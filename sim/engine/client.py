"""Clients: they send requests, wait, give up, and try again.

Open load comes from an iterator of draws, one event each. Under closed load a new request follows each that ends. An
attempt that is over a limit of its tenant, meets no live replica, is lost to a fault, or outlasts the request timeout,
is repeated after an exponential back-off until `max_retries` is used up; then the request counts as failed (or
abandoned, if the client gave up waiting). A caller of a closed loop pauses after a request that did not complete, so
that an outage is not an endless loop at one instant.

Sessions come from the same iterator. The client asks a session for its next step when the one before is answered, and
sends that call after its pause; sub-agents run side by side and are waited for. A call that finally fails, is refused,
or was answered after the user's patience ends its session. Under closed load a new session follows each that ends.

In a mixture of tenants open load comes from the iterator, and each part that bounds what it has under way sends the
next when one of its own ends (`sim.engine.throttle`). A job with a due time is waited for without a timeout.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import cast

from simpy import Environment, Event

from sim.engine.clock import CLIENT, Alarm, call_later
from sim.engine.health import Health
from sim.engine.path import Again
from sim.engine.plan import ClientPolicy, InFlight
from sim.engine.recorder import Recorder
from sim.engine.replica import Replica
from sim.engine.request import Request, State
from sim.engine.retries import Retries
from sim.engine.router import Router
from sim.engine.session_tally import SessionTally
from sim.engine.tenant_limits import TenantLimits
from sim.engine.throttle import Throttled, Throttles
from sim.errors import SimError
from sim.workload.request import RequestDraw
from sim.workload.sessions.call import Call
from sim.workload.sessions.session import Session

COMPACT = 4096  # finished attempts that may wait for their deadline before the list is swept


class Clients:
    """All clients of the cluster.

    Parameters
    ----------
    draws : requests or sessions in order of arrival; under closed load their arrival times are ignored.
    concurrency : requests in flight, or sessions under way, under closed load; None for open load.
    think_s : pause between a client's requests or sessions under closed load.
    throttled : parts of open load that have a bound of their own.
    done : called once no request is left and none will come.
    limits : what the gateway lets tenants do, or None.
    retries : when an attempt may be repeated.
    in_flight : what becomes of attempts that a fault took.

    Attributes
    ----------
    longest_refused_tokens : longest request that could never fit; 0 if none was refused.
    exhausted : whether no further request or session will arrive.
    sessions : sessions by fate.
    """

    def __init__(
        self,
        env: Environment,
        policy: ClientPolicy,
        record: Recorder,
        draws: Iterator[RequestDraw | Session],
        longest_tokens: int,
        done: Callable[[], None],
        concurrency: int | None = None,
        think_s: float = 0.0,
        max_requests: int | None = None,
        limits: TenantLimits | None = None,
        throttled: Sequence[Throttled] = (),
        *,
        retries: Retries,
        in_flight: InFlight = "retry",
    ) -> None:
        self._env = env
        self._policy = policy
        self._timeout_s = policy.request_timeout_s
        self._record = record
        self._draws = draws
        self._longest_tokens = longest_tokens
        self._done = done
        self._concurrency = concurrency
        self._think_s = think_s
        self._response_s = policy.response_latency_s
        self._left = max_requests if max_requests is not None else -1
        self._limits = limits
        self._retries = retries
        self._fails_lost = in_flight == "fail"
        self._health: Health | None = None
        self._entry: dict[Request, Replica] = {}
        self._router: Router | None = None
        self._next: RequestDraw | Session | None = None
        self._arrival = Alarm(env, CLIENT, self._arrive)
        self._in_flight = 0
        self._resting: dict[Request, None] = {}
        self._deadlines: deque[tuple[float, Request, int]] = deque()
        self._watching = False
        self._calling: dict[Request, Session] = {}
        self._throttles = (
            Throttles(env, throttled, policy.failure_pause_s, self._send_throttled, self._check_done)
            if throttled
            else None
        )
        self.sessions = SessionTally()
        self.longest_refused_tokens = 0
        self.exhausted = False

    def start(self, router: Router, health: Health | None = None) -> None:
        """Begin to send; `health` is told how attempts end."""
        self._router = router
        self._health = health
        if self._throttles is not None:
            self._throttles.start()
        if self._concurrency is None:
            self._next_arrival()
        else:
            for _ in range(self._concurrency):
                self._send_closed()

    # ---- arrivals -----------------------------------------------------------------------------------------------

    def _draw(self) -> RequestDraw | Session | None:
        draw = next(self._draws, None) if self._left else None
        if draw is None:
            self.exhausted = True
            self._check_done()
        elif type(draw) is RequestDraw:
            self._left -= 1
        return draw

    def _next_arrival(self) -> None:
        draw = self._draw()
        if draw is not None:
            self._next = draw
            self._arrival.set(max(draw.arrival_s, self._env.now))

    def _arrive(self, _event: Event) -> None:
        draw = self._next
        assert draw is not None
        if type(draw) is RequestDraw:
            self._send(draw)
        else:
            self._begin(cast("Session", draw))
        self._next_arrival()

    def _send_closed(self) -> None:
        draw = self._draw()
        if type(draw) is RequestDraw:
            self._send(draw)
        elif draw is not None:
            self._begin(cast("Session", draw))

    def _send_throttled(self, draw: RequestDraw | Session) -> None:
        if type(draw) is not RequestDraw:
            self._begin(cast("Session", draw))
        elif self._left:
            self._left -= 1
            self._send(draw)

    def _send(self, draw: RequestDraw, session: Session | None = None) -> None:
        now = self._env.now
        input_tokens, output_tokens = draw.input_tokens, draw.output_tokens
        if input_tokens < 1 or output_tokens < 1:
            raise SimError(f"a request must have at least one input and one output token, not {draw}")
        request = Request(now, *draw[1:])
        self._retries.sent()
        if session is not None:
            self._calling[request] = session
        self._record.arrived(now)
        if self._record.tenants is not None:
            self._record.tenants.arrived(request.tenant)
        tokens = input_tokens + output_tokens
        if tokens > self._longest_tokens:
            self.longest_refused_tokens = max(self.longest_refused_tokens, tokens)
            self._record.totals.refused += 1
            self._end(request, State.REFUSED)
            return
        self._attempt(request, now)

    # ---- attempts -----------------------------------------------------------------------------------------------

    def _attempt(self, request: Request, now: float) -> None:
        assert self._router is not None
        self._record.totals.attempts += 1
        limits = self._limits
        if limits is not None and not limits.admits(request, now):
            self._record.totals.throttled += 1
            self.retry(request, State.FAILED)
            return
        replica = self._router.choose(request)
        if replica is None:
            if limits is not None:
                limits.ended(request)
            self.retry(request, State.FAILED)
            return
        if self._health is not None:
            self._entry[request] = replica
        request.replica = replica
        self._in_flight += 1
        if request.deadline_s == inf:
            self._deadlines.append((now + self._timeout_s, request, request.attempt))
        if not self._watching:
            self._watch()
        elif len(self._deadlines) > 4 * self._in_flight + COMPACT:
            self._deadlines = deque(entry for entry in self._deadlines if not self._over(*entry[1:]))
        replica.submit(request, now)

    def retry(self, request: Request, otherwise: State) -> None:
        """Try again after a back-off, or end with the fate `otherwise` when no retry is left."""
        if request.replica is not None:
            self._leave(request)
        if request.attempt >= self._policy.max_retries or not self._may_retry():
            self._give_up(request, otherwise)
            return
        delay_s = self._retries.wait_s(request.attempt)
        request.attempt += 1
        request.state = State.BACKOFF
        self._record.totals.retries += 1
        self._resting[request] = None
        call_later(self._env, delay_s, CLIENT, self._again, request)

    def _may_retry(self) -> bool:
        allowed = self._retries.allowed()
        self._record.totals.retries_denied += not allowed
        return allowed

    def _give_up(self, request: Request, fate: State) -> None:
        if fate is State.FAILED:
            self._record.totals.failed += 1
        else:
            self._record.totals.abandoned += 1
        self._end(request, fate)

    def _leave(self, request: Request) -> None:
        """An attempt is over."""
        request.replica = None
        self._in_flight -= 1
        if self._limits is not None:
            self._limits.ended(request)

    def _again(self, event: Event) -> None:
        request = cast("Request", event.value)
        del self._resting[request]
        self._attempt(request, self._env.now)

    def lost(self, requests: list[Request]) -> None:
        """Attempts that a fault killed; those who are left WAITING go on elsewhere if the router finds a place."""
        self._record.totals.killed += len(requests)
        if self._health is not None:
            for request in requests:
                entry = self._entry.pop(request)
                if entry is request.replica or not entry.up:
                    self._health.failed(entry)
        for request in requests:
            if request.state is State.WAITING:
                self._migrate(request)
            elif self._fails_lost:
                self._leave(request)
                self._give_up(request, State.FAILED)
            else:
                self.retry(request, State.FAILED)

    def _migrate(self, request: Request) -> None:
        """Send a request on that lost its KV: prompt and output so far are its prompt now. Its client hears nothing."""
        assert self._router is not None
        replica = self._router.choose(request)
        if replica is None:
            self._record.lost(request.generated, 0)
            request.restart(Again.FAILED)
            self.retry(request, State.FAILED)
            return
        totals = self._record.totals
        totals.migrated += 1
        totals.migrated_tokens += request.target_tokens
        if self._health is not None:
            self._entry[request] = replica
        request.replica = replica
        replica.submit(request, self._env.now)

    def finished(self, request: Request) -> None:
        """A replica is done with a request: completed, or withdrawn after a timeout."""
        if self._health is not None:
            entry = self._entry.pop(request)
            if request.state is State.COMPLETED:
                self._health.succeeded(entry)
        if request.state is not State.COMPLETED:
            self.retry(request, State.ABANDONED)
            return
        self._leave(request)
        session = self._calling.pop(request, None) if self._calling else None
        if session is not None:
            self._answered(session, request)
        elif self._concurrency is not None:
            call_later(self._env, self._response_s + self._think_s, CLIENT, self._closed_again)
        elif self._throttles is not None:
            self._throttles.ended(request.tenant, completed=True)
        if self.exhausted:
            self._check_done()

    def _end(self, request: Request, fate: State) -> None:
        request.state = fate
        self._record.left(request, self._env.now)
        session = self._calling.pop(request, None) if self._calling else None
        if session is not None:
            self._session_over(session, completed=False)
        elif self._concurrency is not None:
            self._pause_after_failure()
        elif self._throttles is not None:
            self._throttles.ended(request.tenant, completed=False)
        self._check_done()

    def _pause_after_failure(self) -> None:
        pause_s = max(self._think_s, self._policy.failure_pause_s)
        call_later(self._env, pause_s, CLIENT, self._closed_again)

    def _check_done(self) -> None:
        more_calls = self.sessions.unfinished and self._left
        if self._throttles is not None and self._throttles.pending and self._left:
            return
        if self.exhausted and not more_calls and self._record.in_system.level == 0:
            self._done()

    def _closed_again(self, _event: Event) -> None:
        self._send_closed()

    # ---- sessions -----------------------------------------------------------------------------------------------

    def _begin(self, session: Session) -> None:
        session.arrival_s = self._env.now
        self.sessions.began()
        self._advance(session)

    def _advance(self, session: Session, response_s: float = 0.0) -> None:
        """On to the next step: a call after its pause, sub-agents now, or the end."""
        step = session.next_step()
        if step is None:
            self._session_over(session, completed=True)
        elif isinstance(step, Call):
            call_later(self._env, response_s + step.gap_s, CLIENT, self._call, (session, step))
        else:
            children = step.children
            session.waiting_for = len(children)
            for child in children:
                child.parent = session
                child.tenant, child.priority = session.tenant, session.priority
                self._advance(child, response_s)

    def _call(self, event: Event) -> None:
        if not self._left:
            self.exhausted = True
            self._check_done()
            return
        self._left -= 1
        session, (_, input_tokens, output_tokens, prefix, first_id) = cast("tuple[Session, Call]", event.value)
        self._send(
            RequestDraw(
                self._env.now,
                input_tokens,
                output_tokens,
                session.session_id,
                prefix,
                first_id,
                session.tenant,
                session.priority,
            ),
            session,
        )

    def _answered(self, session: Session, request: Request) -> None:
        if self._env.now + self._response_s - request.arrival_s > session.patience_s:
            self._session_over(session, completed=False)
        else:
            self._advance(session, self._response_s)

    def _session_over(self, session: Session, *, completed: bool) -> None:
        """A session or sub-agent ended; one that was given up takes the session that waits for it along."""
        parent = session.parent
        if parent is not None:
            parent.waiting_for -= 1
            parent.given_up = parent.given_up or not completed
            if parent.waiting_for == 0:
                if parent.given_up:
                    self._session_over(parent, completed=False)
                else:
                    self._advance(parent)
            return
        measured = session.begins_whole and session.arrival_s >= self._record.warmup_s
        self.sessions.ended(completed=completed, duration_s=self._env.now - session.arrival_s if measured else None)
        if self._concurrency is not None:
            if completed:
                call_later(self._env, self._think_s, CLIENT, self._closed_again)
            else:
                self._pause_after_failure()
        elif self._throttles is not None:
            self._throttles.ended(session.tenant, completed=completed)
        if self.exhausted:
            self._check_done()

    # ---- timeouts: one timer for the oldest attempt, since all wait equally long ---------------------------------

    def _watch(self) -> None:
        deadlines = self._deadlines
        while deadlines:
            _, request, attempt = deadlines[0]
            if request.replica is not None and request.attempt == attempt:
                break
            deadlines.popleft()
        self._watching = bool(deadlines)
        if deadlines:
            call_later(self._env, max(0.0, deadlines[0][0] - self._env.now), CLIENT, self._expire)

    def _over(self, request: Request, attempt: int) -> bool:
        """Whether an attempt needs no watching any more."""
        return request.replica is None or request.attempt != attempt

    def _expire(self, _event: Event) -> None:
        now, deadlines = self._env.now, self._deadlines
        while deadlines and deadlines[0][0] <= now:
            _, request, attempt = deadlines.popleft()
            if not self._over(request, attempt):
                self._record.totals.timeouts += 1
                assert request.replica is not None
                if self._health is not None:
                    self._health.failed(self._entry[request])
                request.replica.cancel(request)
        self._watch()

    @property
    def backing_off(self) -> list[Request]:
        """Requests between two attempts."""
        return list(self._resting)
