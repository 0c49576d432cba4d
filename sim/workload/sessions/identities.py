"""Ranges of token identities that never overlap, handed out by name and number."""

from __future__ import annotations

SPAN = 2**32  # tokens in one range; no session computes as many
GROUPS_FROM = 2**10
SESSIONS_FROM = 2**24
CHILD_SPAN = 2**24  # tokens in the range of one sub-agent


def root_first_id(number: int) -> int:
    """Start of the text that all sessions of a preset begin with; `number` tells presets or kinds of agents apart."""
    return number * SPAN


def group_first_id(group: int) -> int:
    """Start of the text that the sessions of one group share, such as one repository or one customer."""
    return (GROUPS_FROM + group) * SPAN


def session_first_id(session: int) -> int:
    """Start of the range of one session, by its number in order of arrival."""
    return (SESSIONS_FROM + session) * SPAN


def child_first_id(session_first: int, child: int) -> int:
    """Start of the range of one sub-agent, in the upper half of the range of its session."""
    return session_first + SPAN // 2 + child * CHILD_SPAN
