"""A session of one tenant of a mixture: its text and its name are told apart from those of the others."""

from __future__ import annotations

import math

from sim.workload.request import RequestDraw
from sim.workload.runs import Runs
from sim.workload.sessions.call import Call, Fork
from sim.workload.sessions.session import Session

TENANT_SPAN = 1 << 80  # token identities of one tenant; more than any source names


def moved(runs: Runs | None, first_id: int) -> Runs | None:
    """The same runs in another range of identities."""
    return None if runs is None else tuple((first + first_id, tokens) for first, tokens in runs)


def stamped(draw: RequestDraw, name: str, tenant: int, priority: int, deadline_s: float = math.inf) -> RequestDraw:
    """A request as one of a tenant's, with a due time if it has one."""
    arrival_s, input_tokens, output_tokens, session_id, prefix, output_first_id = draw[:6]
    first_id = tenant * TENANT_SPAN
    return RequestDraw(
        arrival_s,
        input_tokens,
        output_tokens,
        None if session_id is None else f"{name}/{session_id}",
        prefix if prefix is None else moved(prefix, first_id),
        None if output_first_id is None else output_first_id + first_id,
        tenant,
        priority,
        deadline_s,
    )


class TenantSession(Session):
    """A session whose token identities lie in the range of its tenant.

    Parameters
    ----------
    session : the session itself.
    name, tenant, priority : of the tenant.
    """

    __slots__ = ("_first_id", "_name", "_session", "begins_whole")

    def __init__(self, session: Session, name: str, tenant: int, priority: int) -> None:
        super().__init__(f"{name}/{session.session_id}", session.arrival_s, session.patience_s)
        self._session = session
        self._name = name
        self._first_id = tenant * TENANT_SPAN
        self.begins_whole = session.begins_whole
        self.tenant, self.priority = tenant, priority

    @property
    def steps_left(self) -> int:
        """Calls and forks that are still to come."""
        return self._session.steps_left

    def next_step(self) -> Call | Fork | None:
        """The next call or group of sub-agents; None when the session is over."""
        step = self._session.next_step()
        if isinstance(step, Call):
            first_id, output_first_id = self._first_id, step.output_first_id
            return Call(
                step.gap_s,
                step.input_tokens,
                step.output_tokens,
                moved(step.prefix, first_id),
                None if output_first_id is None else output_first_id + first_id,
            )
        if isinstance(step, Fork):
            return Fork(tuple(TenantSession(child, self._name, self.tenant, self.priority) for child in step.children))
        return None
