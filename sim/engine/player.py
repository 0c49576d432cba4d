"""Plays on the replicas what the clock of days has decided: a list of transitions, fixed before the run.

At one instant transitions happen before anything that clients or replicas do, in the order of the list, and clients
hear of what was lost when all of them have happened (`sim.engine.clock`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from operator import attrgetter

from simpy import Environment, Event

from sim.engine.clock import FAULT, Alarm
from sim.engine.conditions import Conditions
from sim.engine.replica import Replica
from sim.errors import SimError
from sim.faults.transition import Action, Transition


class Player:
    """Transitions in order of time, and which one is next.

    Raises
    ------
    SimError : a transition names a replica or a rank that there is not, or a time or value that makes no sense.
    """

    def __init__(
        self,
        env: Environment,
        transitions: Sequence[Transition],
        replicas: Sequence[Replica],
        conditions: Conditions,
    ) -> None:
        for transition in transitions:
            _check(transition, replicas)
        self._transitions = sorted(transitions, key=attrgetter("at_s"))
        self._conditions = conditions
        self._next = 0
        self._alarm = Alarm(env, FAULT, self._play)

    def start(self) -> None:
        """Wait for the first transition. Without any, nothing is scheduled."""
        if self._next < len(self._transitions):
            self._alarm.set(self._transitions[self._next].at_s)

    def _play(self, _event: Event) -> None:
        first, last, transitions = self._next, self._next, self._transitions
        at_s = transitions[first].at_s
        while last < len(transitions) and transitions[last].at_s == at_s:
            last += 1
        self._next = last
        self._conditions.apply(transitions[first:last])
        self.start()


def _check(transition: Transition, replicas: Sequence[Replica]) -> None:
    if not (isfinite(transition.at_s) and transition.at_s >= 0.0):
        raise SimError(f"{transition}: at_s must be at least 0")
    if not 0 <= transition.replica < len(replicas):
        raise SimError(f"{transition}: there are replicas 0 to {len(replicas) - 1}")
    action, value = transition.action, transition.value
    if action is Action.PACE and not (isfinite(value) and value > 0.0):
        raise SimError(f"{transition}: a pace must be above 0")
    if action is Action.PAUSE and not (isfinite(value) and value >= 0.0):
        raise SimError(f"{transition}: a pause must last at least 0 s")
    ranks = len(replicas[transition.replica].all_ranks)
    if action in (Action.SHRINK, Action.GROW) and not all(0 <= rank < ranks for rank in transition.ranks):
        raise SimError(f"{transition}: replica {transition.replica} has ranks 0 to {ranks - 1}")
