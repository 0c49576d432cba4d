"""Recorded sessions: the calls as somebody's agent made them, and their replay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np

from sim.streams import Streams
from sim.workload.checks import not_negative, positive
from sim.workload.runs import Runs, merged
from sim.workload.sessions.call import Call, Fork
from sim.workload.sessions.identities import root_first_id, session_first_id
from sim.workload.sessions.session import Session
from sim.workload.sessions.source import SessionSource


class RecordedCall(NamedTuple):
    """One call as it stands in a file.

    Attributes
    ----------
    start_s : since the start of its session.
    answered_s : when its answer was complete, by the clock of the service that was recorded.
    gap_s : pause of the client before it.
    runs : the prompt, in identities of its session alone.
    """

    start_s: float
    answered_s: float
    gap_s: float
    input_tokens: int
    output_tokens: int
    runs: Runs


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """One session as it stands in a file.

    Attributes
    ----------
    label : its name in the file.
    steps : calls in order; a tuple of sessions stands for sub-agents that ran side by side.
    """

    label: str
    steps: tuple[RecordedCall | tuple[RecordedSession, ...], ...]

    def calls(self) -> Iterator[RecordedCall]:
        """All calls in the order of the file, those of sub-agents where they were started."""
        for step in self.steps:
            if isinstance(step, RecordedCall):
                yield step
            else:
                for agent in step:
                    yield from agent.calls()


@dataclass(frozen=True, slots=True)
class Replay:
    """How recorded sessions are replayed.

    Parameters
    ----------
    max_gap_s : longer pauses are cut to this; infinite for pauses as they were.
    root_tokens : leading tokens that all sessions share although the file's identities do not show it.
    output_scale : factor on each output.
    abandon_after_s : mean of the exponential patience with one answer; None for users who always come back.
    repeat : start again with the first session after the last, as other users with text of their own.

    Raises
    ------
    ScenarioError : a value out of range.
    """

    max_gap_s: float = math.inf
    root_tokens: int = 0
    output_scale: float = 1.0
    abandon_after_s: float | None = None
    repeat: bool = False

    def __post_init__(self) -> None:
        if self.max_gap_s != math.inf:
            not_negative("max_gap_s", self.max_gap_s)
        not_negative("root_tokens", self.root_tokens)
        positive("output_scale", self.output_scale)
        if self.abandon_after_s is not None:
            positive("abandon_after_s", self.abandon_after_s)


class ReplayedSession(Session):
    """A recorded session, its identities moved to a range of its own."""

    __slots__ = ("_at", "_first_id", "_how", "_root_of", "_steps")

    def __init__(
        self, name: str, recorded: RecordedSession, how: Replay, first_id: int, patience_s: float, root_of: int | None
    ) -> None:
        super().__init__(name, 0.0, patience_s)
        self._steps = recorded.steps
        self._how = how
        self._first_id = first_id
        self._root_of = root_of
        self._at = 0

    @property
    def steps_left(self) -> int:
        """Calls and forks that are still to come."""
        return len(self._steps) - self._at

    def next_step(self) -> Call | Fork | None:
        """The next call or group of sub-agents; None when the session is over."""
        if self._at == len(self._steps):
            return None
        step = self._steps[self._at]
        self._at += 1
        if not isinstance(step, RecordedCall):
            return Fork(
                tuple(
                    ReplayedSession(
                        f"{self.session_id}/{self._at}.{number}",
                        agent,
                        self._how,
                        self._first_id,
                        self.patience_s,
                        None,
                    )
                    for number, agent in enumerate(step)
                )
            )
        how = self._how
        output_tokens = step.output_tokens
        if how.output_scale != 1.0:
            output_tokens = max(1, round(output_tokens * how.output_scale))
        return Call(min(step.gap_s, how.max_gap_s), step.input_tokens, output_tokens, self._moved(step.runs), None)

    def _moved(self, runs: Runs) -> Runs:
        moved = tuple((first + self._first_id, tokens) for first, tokens in runs)
        root_tokens = self._how.root_tokens
        if not root_tokens or not runs or runs[0][0] != self._root_of:
            return moved
        root = min(root_tokens, runs[0][1])
        rest = (moved[0][0] + root, moved[0][1] - root)
        return merged(((root_first_id(0), root), rest, *moved[1:]))


@dataclass(frozen=True, slots=True)
class RecordedSessions(SessionSource):
    """Sessions of a file in its order.

    Parameters
    ----------
    recorded : the sessions.
    how : what is changed in the replay.
    """

    recorded: tuple[RecordedSession, ...]
    how: Replay = Replay()

    def sessions(self, streams: Streams) -> Iterator[Session]:
        """Sessions in order of arrival, with arrival times still to be set."""
        rng = streams.generator("sessions.patience")
        numbers = count()
        while True:
            for recorded in self.recorded:
                number = next(numbers)
                patience = -float(np.log1p(-rng.random()))
                wait_s = math.inf if self.how.abandon_after_s is None else self.how.abandon_after_s * patience
                first = next(recorded.calls(), None)
                root_of = first.runs[0][0] if first is not None and first.runs else None
                yield ReplayedSession(str(number), recorded, self.how, session_first_id(number), wait_s, root_of)
            if not self.how.repeat:
                return
