"""What years of faults and repair come to."""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import IntEnum


class State(IntEnum):
    """Of one replica.

    UP : complete. DEGRADED : serves without some ranks. DRAINING : finishes what it has. HUNG : stopped, unnoticed.
    WAITING : noticed, or not yet, and without a complete set of nodes. RESTARTING : from then to the first request.
    PLANNED : stopped on purpose. SITE : without a site.
    """

    UP = 0
    DEGRADED = 1
    DRAINING = 2
    HUNG = 3
    WAITING = 4
    RESTARTING = 5
    PLANNED = 6
    SITE = 7


# by themselves, since to look members up in their class takes many times as long, and the clock of days always does
UP, DEGRADED, DRAINING, HUNG, WAITING, RESTARTING, PLANNED, DARK = State
SERVES = tuple(state in {State.UP, State.DEGRADED} for state in State)  # by state: an enum's own hash is slow


class Tally:
    """Sums over one run; all times in seconds.

    Attributes
    ----------
    horizon_s : length of the run.
    up_s : (replicas + 1,) time with so many replicas that take requests.
    drops : (replicas + 1,) how often the number that takes requests fell from so many.
    away_s : time with so many own nodes under repair, by their number.
    state_s : replica-seconds in each state.
    capacity_s : replica-seconds of capacity: a degraded replica counts with its surviving ranks, a paused one not.
    cause_s : replica-seconds in which requests are not taken, by what began it.
    pause_s, slow_s, tainted_s : replica-seconds of pauses, of steps longer than designed, and of wrong tokens.
    faults : events by class; injected ones that met a node outside all replicas are in `idle_hits` and not here.
    replica_faults : events that took a replica out, wholly or in part, by class.
    planned : replicas taken for planned work, by its name.
    hands_on_s : work of people on faults.
    refailed, replaced, rented : nodes that came back with their fault, were replaced for good, were rented.
    rented_s, doubled_s : node-seconds of rented nodes, and of those that stood beside others during an exchange.
    longest_dark_s : longest time without any replica.
    """

    def __init__(self, replicas: int) -> None:
        self.horizon_s = 0.0
        self.up_s = [0.0] * (replicas + 1)
        self.drops = [0] * (replicas + 1)
        self.away_s: defaultdict[int, float] = defaultdict(float)
        self.state_s = [0.0] * len(State)
        self.capacity_s = 0.0
        self.cause_s: defaultdict[str, float] = defaultdict(float)
        self.pause_s: defaultdict[str, float] = defaultdict(float)
        self.slow_s: defaultdict[str, float] = defaultdict(float)
        self.tainted_s = 0.0
        self.faults: Counter[str] = Counter()
        self.replica_faults: Counter[str] = Counter()
        self.planned: Counter[str] = Counter()
        self.idle_hits = self.refailed = self.replaced = self.rented = self.site_outages = self.shocks = 0
        self.hands_on_s = self.rented_s = self.doubled_s = self.longest_dark_s = 0.0

    def at_least_frac(self, replicas: int) -> float:
        """Share of time with at least so many replicas that take requests."""
        return sum(self.up_s[replicas:]) / self.horizon_s

    def nodes_away_at_most_frac(self, nodes: int) -> float:
        """Share of time with at most so many own nodes away."""
        return sum(seconds for away, seconds in self.away_s.items() if away <= nodes) / self.horizon_s
