"""One step of a session: a call to the model, or sub-agents to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.workload.runs import Runs

if TYPE_CHECKING:
    from sim.workload.sessions.session import Session


class Call(NamedTuple):
    """One call of a session.

    Attributes
    ----------
    gap_s : pause since the answer to the call before, or since the session began.
    input_tokens : the whole prompt, history included.
    output_tokens : generated length.
    prefix : what the prompt consists of, see `RequestDraw`.
    output_first_id : identity of the first output token, or None when no later prompt contains the output.
    """

    gap_s: float
    input_tokens: int
    output_tokens: int
    prefix: Runs | None
    output_first_id: int | None


class Fork(NamedTuple):
    """Sub-agents that start together; the session goes on when the last of them has ended.

    Attributes
    ----------
    children : sessions of their own, one per sub-agent, each beginning with its own pause.
    """

    children: tuple[Session, ...]
