"""Years of faults, repair, spares and planned work of one fleet; no requests.

A fault of a node takes its replica down: after detection the replica waits for a complete set of nodes (spares first
come, first served), then restarts. A fault of the engine asks for the restart only. Nodes under repair come back as
spares. With elastic expert parallelism a replica pauses, goes on without the ranks that were lost, and pauses again
when they return. Nothing depends on requests, so the transitions can be played to an engine on another clock.

What is powered fails: idle spares too unless they are cold, and the surviving nodes of a replica that is down, unless
the plan says otherwise.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from itertools import accumulate

from sim.faults.agenda import Agenda
from sim.faults.board import Board
from sim.faults.campaigns import Campaigns
from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan
from sim.faults.node_clock import exponential_s, uniforms
from sim.faults.node_pool import NodePool
from sim.faults.shocks import Shocks
from sim.faults.shrinking import Shrinking
from sim.faults.strike import Strike
from sim.faults.tally import DARK, DRAINING, HUNG, PLANNED, RESTARTING, SERVES, UP, WAITING, Tally
from sim.faults.transition import Action, Transition
from sim.streams import Streams

SITE = "site"
RISE, FALL, PACE, HANG = Action.UP, Action.DOWN, Action.PACE, Action.HANG


class Timeline:
    """One run of a fleet.

    Parameters
    ----------
    record : whether transitions are kept for an engine.

    Attributes
    ----------
    tally : sums of the run.
    transitions : what happened to replicas, in order of time; empty where they are not kept.
    strikes : faults in order of time; empty where they are not kept. Those that come with a shock of a rack are in it,
        outages of the site are not.
    """

    def __init__(self, plan: FleetPlan, streams: Streams, *, record: bool = False) -> None:
        self._plan = plan
        self._streams = streams
        count = len(plan.nodes)
        self.tally = Tally(count)
        self._agenda = Agenda()
        self._board = Board(plan, self._agenda, self.tally, record=record)
        self.strikes: list[Strike] = []
        self._record = record
        rates = [kind.rate_per_s for kind in plan.node_classes]
        self._cumulative = list(accumulate(rates))
        total = self._cumulative[-1] if rates else 0.0
        self._pool = NodePool(
            plan,
            streams,
            self._agenda,
            self._board,
            self.tally,
            total,
            self._node_due,
            self._struck,
            self._spare_ready,
        )
        self._recovery = [0] * count  # counts down-times of each replica; a later one makes an earlier recovery void
        self._waiters: deque[int] = deque()
        self._engine_draws: dict[int, Iterator[float]] = {}
        self._cold = [False] * count
        self._asked = [-1] * count  # number of the recovery for which a node is being rented
        self._site_down = False
        self._campaigns = Campaigns(plan, self._agenda, self._board, self.tally, self._stop, self._recovery.__getitem__)
        self._shrinking = (
            None if plan.elastic is None else Shrinking(plan, plan.elastic, self._agenda, self._board, self._pool)
        )

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """What was told to the engine."""
        return tuple(self._board.transitions or ())

    @property
    def events(self) -> int:
        """Events of the run, for benchmarks."""
        return self._agenda.events

    def run(self, horizon_s: float) -> Tally:
        """Run from a new fleet, all replicas up, to the horizon."""
        plan, agenda = self._plan, self._agenda
        self._pool.start()
        if self._shrinking is not None:
            self._shrinking.start()
        for replica in range(len(plan.nodes)):
            self._arm_engine(replica)
        if plan.common.shock_per_s > 0.0:
            Shocks(plan, self._streams, agenda, self._pool, self.tally, self._shocked).start()
        if plan.common.site_per_s > 0.0:
            self._site_draws = uniforms(self._streams.generator("site"))
            self._arm_site()
        for at_s, node, name in plan.injected:
            agenda.at(at_s, self._inject, node, name)
        self._campaigns.start()
        agenda.run(horizon_s)
        self._pool.close()
        self._board.close()
        return self.tally

    # ---- faults -------------------------------------------------------------------------------------------------

    def _node_due(self, node: int, period: int) -> None:
        pool = self._pool
        if not pool.current(node, period):
            return
        draws, cumulative = pool.clocks[node].draws, self._cumulative
        at = bisect_right(cumulative, next(draws) * cumulative[-1])
        self._struck(node, self._plan.node_classes[min(at, len(cumulative) - 1)])
        if pool.current(node, period):
            pool.power(node)

    def _inject(self, node: int, name: str) -> None:
        """A fault on purpose; it does nothing where it meets no replica, or one of an engine a replica that is down."""
        plan, home = self._plan, self._pool.home[node]
        kinds = (*plan.node_classes, *plan.replica_classes)
        kind = next((kind for kind in kinds if (kind.name == name if name else kind.leaves)), None)
        if kind is None:
            raise ValueError(f"no class of faults named {name!r}")
        of_engine = kind in plan.replica_classes
        if home < 0 or (of_engine and not SERVES[self._board.state[home]]):
            self.tally.idle_hits += 1
            self._note(kind, None if of_engine else node, -1, injected=True)
        elif of_engine:
            self._engine_struck(home, kind, injected=True)
        else:
            self._struck(node, kind, injected=True)

    def _note(self, kind: FaultClass, node: int | None, home: int, *, injected: bool = False) -> None:
        if self._record:
            replica = home if home >= 0 else None
            self.strikes.append(Strike(self._agenda.now_s, kind.name, node, replica, injected))

    def _shocked(self, node: int, kind: FaultClass) -> None:
        self._note(kind, node, self._pool.home[node])
        self._break(node, kind)

    def _struck(self, node: int, kind: FaultClass, *, injected: bool = False) -> None:
        """A node that is not away has a fault."""
        pool, agenda, tally = self._pool, self._agenda, self.tally
        home = pool.home[node]
        tally.faults[kind.name] += 1
        tally.hands_on_s += kind.hands_on_s
        self._note(kind, node, home, injected=injected)
        draws = pool.clocks[node].draws
        if home >= 0 and SERVES[self._board.state[home]]:
            if kind.slow_s is not None:
                slow_s = kind.slow_s.draw(draws)
                tally.slow_s[kind.name] += slow_s
                self._board.tell(home, PACE, kind.name, kind.pace * self._usual_pace)
                agenda.at(agenda.now_s + slow_s, self._slow_over, node, kind, pool.period(node), self._recovery[home])
                return
            if kind.hidden is not None:
                hidden_s = kind.hidden.draw(draws)
                tally.tainted_s += hidden_s
                agenda.at(agenda.now_s + hidden_s, self._found, node, kind, pool.period(node))
                return
        self._break(node, kind)

    def _slow_over(self, node: int, kind: FaultClass, period: int, recovery: int) -> None:
        home = self._pool.home[node]
        if self._pool.current(node, period) and home >= 0 and self._recovery[home] == recovery:
            self._board.tell(home, PACE, kind.name, self._usual_pace)
            if kind.leaves:
                self._break(node, kind)

    def _found(self, node: int, kind: FaultClass, period: int) -> None:
        if self._pool.current(node, period):
            self._break(node, kind)

    def _break(self, node: int, kind: FaultClass) -> None:
        """What a fault does once it shows."""
        pool = self._pool
        home, slot = pool.home[node], pool.slot[node]
        if kind.repair is not None:
            home = pool.lose(node, kind, kind.repair.draw(pool.clocks[node].draws))
        if home >= 0:
            self.tally.replica_faults[kind.name] += 1
            self._hit(home, kind, slot, pool.clocks[node].draws)

    def _hit(self, replica: int, kind: FaultClass, slot: int, draws: Iterator[float]) -> None:
        """A replica loses a node, a rank, or its engine."""
        board, agenda, recovery = self._board, self._agenda, self._plan.recovery
        state = board.state[replica]
        if self._shrinking is not None and SERVES[state] and self._shrinking.absorbs(replica, kind, slot):
            return
        if state is DARK or state is HUNG:
            return  # what it lacks is seen when the site is back, or the hang is noticed
        number = self._void(replica)
        if kind.hang_frac > 0.0 and SERVES[state] and next(draws) < kind.hang_frac:
            board.move(replica, HUNG, kind.name)
            board.tell(replica, HANG, kind.name)
            agenda.at(agenda.now_s + recovery.detect_hang_s, self._detected, replica, number, kind.name)
            return
        if SERVES[state] or state is DRAINING:
            board.tell(replica, FALL, kind.name)
        if self._pool.free_slots[replica] or self._pool.renting:
            board.move(replica, WAITING, kind.name)
            agenda.at(agenda.now_s + recovery.detect_s, self._detected, replica, number, kind.name)
        else:  # complete: detection and restart are one event
            board.move(replica, RESTARTING, kind.name)
            agenda.at(agenda.now_s + recovery.detect_s + self._restart_s(replica), self._up, replica, number)

    def _void(self, replica: int) -> int:
        """Whatever was planned for a replica does not happen; returns the number of the recovery that begins."""
        if self._shrinking is not None:
            self._shrinking.forget(replica)
        if not self._plan.survivors_fail:
            for node in self._pool.of(replica):
                self._pool.rest(node)
        if replica in self._waiters:
            self._waiters.remove(replica)
        self._recovery[replica] += 1
        return self._recovery[replica]

    # ---- recovery -----------------------------------------------------------------------------------------------

    def _detected(self, replica: int, recovery: int, cause: str) -> None:
        if self._recovery[replica] != recovery:
            return
        if self._board.state[replica] is HUNG:
            self._board.tell(replica, FALL, cause)
            self._board.move(replica, WAITING)
        self._complete(replica)

    def _complete(self, replica: int) -> None:
        """Give a replica the nodes it lacks, as far as there are any; with all of them it restarts."""
        pool, board, agenda, spares = self._pool, self._board, self._agenda, self._plan.spares
        delay_s, number = 0.0, self._recovery[replica]
        while pool.free_slots[replica]:
            if pool.place(replica) is None:
                self._waiters.append(replica)
                if spares.rent_success > 0.0 and self._asked[replica] != number:
                    self._asked[replica] = number
                    agenda.at(agenda.now_s + spares.rent_delay_s, self._rent, replica, number)
                return
            delay_s = spares.start_s
        if pool.renting:
            pool.give_back(replica)
        board.move(replica, RESTARTING)
        agenda.at(agenda.now_s + delay_s + self._restart_s(replica), self._up, replica, number)

    def _restart_s(self, replica: int) -> float:
        """From a complete set of nodes to the first request."""
        plan = self._plan.recovery
        return plan.restart_s[replica] + (plan.cold_s if self._cold[replica] else 0.0)

    def _rent(self, replica: int, recovery: int) -> None:
        """An attempt to rent a node is over."""
        if self._recovery[replica] != recovery or replica not in self._waiters:
            return
        if next(self._of_engine(replica)) < self._plan.spares.rent_success:
            self._pool.rent(replica)
            if not self._pool.free_slots[replica]:
                self._waiters.remove(replica)
                self._complete(replica)
                return
        self._agenda.at(self._agenda.now_s + self._plan.spares.rent_delay_s, self._rent, replica, recovery)

    def _spare_ready(self) -> None:
        """A node is back: those who wait look, in their order."""
        if self._shrinking is not None and not self._waiters:
            self._shrinking.spare_ready()
        waiting, self._waiters = self._waiters, deque()
        while waiting:
            replica = waiting.popleft()
            if self._board.state[replica] is not WAITING or self._site_down:
                continue
            if not self._pool.spares:
                self._waiters.append(replica)
            else:
                self._complete(replica)

    def _up(self, replica: int, recovery: int) -> None:
        if self._recovery[replica] != recovery:
            return
        plan, board, agenda = self._plan, self._board, self._agenda
        if not plan.survivors_fail:
            for node in self._pool.of(replica):
                self._pool.rest(node)  # one that came as a spare has been powered
                self._pool.power(node)
        cause = board.cause[replica]
        self._cold[replica] = False
        board.move(replica, UP)
        board.tell(replica, RISE, cause)
        pace = self._usual_pace
        if plan.recovery.warm_s > 0.0 and plan.recovery.warm_pace != 1.0:
            self.tally.slow_s["warming"] += plan.recovery.warm_s
            board.tell(replica, PACE, cause, pace * plan.recovery.warm_pace)
            if board.transitions is not None:
                agenda.at(agenda.now_s + plan.recovery.warm_s, self._warm, replica, recovery, cause)
        elif pace != 1.0:
            board.tell(replica, PACE, cause, pace)
        self._campaigns.up(replica)

    def _warm(self, replica: int, recovery: int, cause: str) -> None:
        if self._recovery[replica] == recovery:
            self._board.tell(replica, PACE, cause, self._usual_pace)

    @property
    def _usual_pace(self) -> float:
        elastic = self._plan.elastic
        return 1.0 if elastic is None else 1.0 + elastic.overhead_frac

    def _stop(self, replica: int, cause: str, work_s: float, *, cold: bool) -> None:
        """Take a replica out of service for planned work."""
        recovery = self._void(replica)
        self._cold[replica] = cold
        if work_s > 0.0 or SERVES[self._board.state[replica]]:
            self._board.move(replica, PLANNED, cause)
        self._board.tell(replica, FALL, cause)
        if work_s > 0.0:
            self._agenda.at(self._agenda.now_s + work_s, self._worked, replica, recovery)
        else:
            self._complete(replica)

    def _worked(self, replica: int, recovery: int) -> None:
        if self._recovery[replica] == recovery:
            self._complete(replica)

    # ---- engines and the site -------------------------------------------------------------------------------

    def _arm_engine(self, replica: int) -> None:
        """Set the clocks of engine faults; they never stop, and what comes while a replica does not serve is no fault.

        Exponential clocks have no memory, so that is the same law as clocks that begin anew with each service.
        """
        for kind in self._plan.replica_classes:
            if kind.rate_per_s > 0.0:
                self._next_engine_fault(replica, kind)

    def _next_engine_fault(self, replica: int, kind: FaultClass) -> None:
        after_s = exponential_s(next(self._of_engine(replica)), kind.rate_per_s)
        self._agenda.at(self._agenda.now_s + after_s, self._engine_due, replica, kind)

    def _of_engine(self, replica: int) -> Iterator[float]:
        """Uniform draws of a replica, from a stream that is begun when it is first asked for."""
        draws = self._engine_draws.get(replica)
        if draws is None:
            draws = self._engine_draws[replica] = uniforms(self._streams.generator(f"engine/{replica}"))
        return draws

    def _engine_due(self, replica: int, kind: FaultClass) -> None:
        if SERVES[self._board.state[replica]]:
            self._engine_struck(replica, kind)
        self._next_engine_fault(replica, kind)

    def _engine_struck(self, replica: int, kind: FaultClass, *, injected: bool = False) -> None:
        """The engine of a replica that serves has a fault."""
        draws, agenda = self._of_engine(replica), self._agenda
        self.tally.faults[kind.name] += 1
        self.tally.hands_on_s += kind.hands_on_s
        self._note(kind, None, replica, injected=injected)
        if kind.slow_s is not None:
            slow_s = kind.slow_s.draw(draws)
            self.tally.slow_s[kind.name] += slow_s
            self._board.tell(replica, PACE, kind.name, kind.pace * self._usual_pace)
            if self._board.transitions is not None:  # nobody else asks when it ends
                agenda.at(agenda.now_s + slow_s, self._warm, replica, self._recovery[replica], kind.name)
        else:
            self.tally.replica_faults[kind.name] += 1
            self._hit(replica, kind, -1, draws)

    def _arm_site(self) -> None:
        after_s = exponential_s(next(self._site_draws), self._plan.common.site_per_s)
        self._agenda.at(self._agenda.now_s + after_s, self._site_lost)

    def _site_lost(self) -> None:
        self.tally.site_outages += 1
        self._site_down = True
        board, agenda = self._board, self._agenda
        for replica, state in enumerate(board.state):
            self._void(replica)
            if SERVES[state] or state in {DRAINING, HUNG}:
                board.tell(replica, FALL, SITE)
            board.move(replica, DARK, SITE)
        agenda.at(agenda.now_s + self._plan.common.site.draw(self._site_draws), self._site_back)

    def _site_back(self) -> None:
        self._site_down = False
        self._waiters.clear()
        for replica in range(len(self._board.state)):
            self._board.move(replica, WAITING)
            self._complete(replica)
        self._arm_site()
