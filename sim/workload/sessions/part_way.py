"""Sessions that are met part-way, so that a fixed number of them does not begin all at once."""

from __future__ import annotations

from collections.abc import Iterator

from sim.streams import Streams
from sim.workload.sessions.call import Call, Fork
from sim.workload.sessions.session import Session

START_STREAM = "sessions.start"


class PartWay(Session):
    """A session whose next step comes after part of its pause.

    Parameters
    ----------
    session : the session, its first steps skipped.
    pause_frac : share of the first pause that is still to wait.
    """

    __slots__ = ("_pause_frac", "_session")

    begins_whole = False

    def __init__(self, session: Session, pause_frac: float) -> None:
        super().__init__(session.session_id, session.arrival_s, session.patience_s)
        self._session = session
        self._pause_frac = pause_frac

    @property
    def steps_left(self) -> int:
        """Calls and forks that are still to come."""
        return self._session.steps_left

    def next_step(self) -> Call | Fork | None:
        """The next call or group of sub-agents; None when the session is over."""
        step = self._session.next_step()
        if isinstance(step, Call):
            step = step._replace(gap_s=step.gap_s * self._pause_frac)
        self._pause_frac = 1.0
        return step


def part_way(sessions: Iterator[Session], count: int, streams: Streams) -> Iterator[Session]:
    """The sessions, the first `count` of them met at a uniformly drawn step and moment of the pause before it."""
    rng = streams.generator(START_STREAM)
    for number, session in enumerate(sessions):
        if number >= count:
            yield session
            continue
        step, pause = rng.random(2).tolist()
        session.skip(int(step * session.steps_left))
        yield PartWay(session, pause)
