"""What every session offers to the client that runs it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from sim.workload.sessions.call import Call, Fork


class Session(ABC):
    """A conversation or an agent's run, drawn as a whole when it arrives.

    It knows nothing of the cluster: asked for its next step, it answers from its own state. So two clusters that are
    compared serve the same sessions, call by call, however long each answer takes them.

    Attributes
    ----------
    session_id : label, unique within the run.
    arrival_s : when it begins; not below that of the session before it.
    patience_s : a user who waited longer than this for one answer does not come back; infinite for one who always does.
    parent : the session that waits for this one, if it is a sub-agent.
    tenant, priority : of all its calls, as in `RequestDraw`; sub-agents have those of the session that started them.
    waiting_for, given_up : sub-agents that this session waits for, and whether one of them was given up; kept by the
        client.
    begins_whole : false for a session that is met part-way, whose duration means nothing.
    """

    __slots__ = ("arrival_s", "given_up", "parent", "patience_s", "priority", "session_id", "tenant", "waiting_for")

    begins_whole = True

    def __init__(self, session_id: str, arrival_s: float = 0.0, patience_s: float = math.inf) -> None:
        self.session_id = session_id
        self.arrival_s = arrival_s
        self.patience_s = patience_s
        self.parent: Session | None = None
        self.tenant = self.priority = 0
        self.waiting_for = 0
        self.given_up = False

    @property
    @abstractmethod
    def steps_left(self) -> int:
        """Calls and forks that are still to come."""

    @abstractmethod
    def next_step(self) -> Call | Fork | None:
        """The next call or group of sub-agents; None when the session is over."""

    def skip(self, steps: int) -> None:
        """Go on as if `steps` steps had been answered before."""
        for _ in range(steps):
            self.next_step()
