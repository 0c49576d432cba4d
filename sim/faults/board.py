"""The state of every replica, the time in each, and what is told to the engine."""

from __future__ import annotations

from collections.abc import Callable

from sim.faults.agenda import Agenda
from sim.faults.fleet_plan import FleetPlan
from sim.faults.tally import SERVES, UP, State, Tally
from sim.faults.transition import Action, Transition


def _nothing() -> None:
    """Whom nobody has told what to do."""


class Board:
    """Books the states of replicas.

    Parameters
    ----------
    record : whether transitions are kept.

    Attributes
    ----------
    state, cause : of each replica, and what began the time in which it does not take requests.
    serving, complete : replicas that take requests, and those of them that lack no rank.
    when_complete : called when all of them are complete again.
    transitions : what was told, in order of time; None where nothing is kept.
    """

    def __init__(self, plan: FleetPlan, agenda: Agenda, tally: Tally, *, record: bool) -> None:
        count = len(plan.nodes)
        self._agenda = agenda
        self._tally = tally
        self.transitions: list[Transition] | None = [] if record else None
        self.state = [UP] * count
        self.cause = [""] * count
        self.serving = self.complete = count
        self.when_complete: Callable[[], None] = _nothing
        self._since_s = [0.0] * count
        self._share = [1.0] * count
        self._count_since_s = 0.0
        self._away = 0
        self._away_since_s = 0.0

    def tell(self, replica: int, action: Action, cause: str, value: float = 0.0, ranks: tuple[int, ...] = ()) -> None:
        """Tell the engine of a change."""
        if self.transitions is not None:
            self.transitions.append(Transition(self._agenda.now_s, replica, action, cause, value, ranks))

    def pause(self, replica: int, cause: str, seconds: float) -> None:
        """A replica that serves rests for so long: what it could do from now on is lost meanwhile."""
        self.tell(replica, Action.PAUSE, cause, seconds)
        self._tally.pause_s[cause] += seconds
        self._tally.capacity_s -= seconds * self._share[replica]

    def move(self, replica: int, state: State, cause: str = "", share: float = 1.0) -> None:
        """A replica is in another state from now on.

        Parameters
        ----------
        cause : kept while the replica stays out of service: what came first counts.
        share : of its capacity, where it serves.
        """
        before = self.state[replica]
        self._book(replica)
        self.state[replica] = state
        self._share[replica] = share
        was, serves = SERVES[before], SERVES[state]
        if was or serves:
            if was != serves:
                self._count(1 if serves else -1)
                self.cause[replica] = cause if was else ""
            complete = (state is UP) - (before is UP)
            if complete:
                self.complete += complete
                if self.complete == len(self.state):
                    self.when_complete()

    def away(self, nodes: int) -> None:
        """So many own nodes more are under repair."""
        now = self._agenda.now_s
        self._tally.away_s[self._away] += now - self._away_since_s
        self._away += nodes
        self._away_since_s = now

    def close(self) -> None:
        """Book up to now."""
        for replica in range(len(self.state)):
            self._book(replica)
        self._count(0)
        self.away(0)
        self._tally.horizon_s = self._agenda.now_s

    def _book(self, replica: int) -> None:
        now, tally, state = self._agenda.now_s, self._tally, self.state[replica]
        seconds = now - self._since_s[replica]
        self._since_s[replica] = now
        tally.state_s[state] += seconds
        if SERVES[state]:
            tally.capacity_s += seconds * self._share[replica]
        else:
            tally.cause_s[self.cause[replica]] += seconds

    def _count(self, change: int) -> None:
        now, tally = self._agenda.now_s, self._tally
        seconds = now - self._count_since_s
        tally.up_s[self.serving] += seconds
        if self.serving == 0 and seconds > tally.longest_dark_s:
            tally.longest_dark_s = seconds
        if change < 0:
            tally.drops[self.serving] += 1
        self.serving += change
        self._count_since_s = now
