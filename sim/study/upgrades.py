"""One round of planned work, as transitions of replicas, with nothing else happening."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sim.faults.fleet_plan import Common
from sim.faults.tally import Tally
from sim.faults.timeline import Timeline
from sim.faults.transition import Action, Transition
from sim.scenario.scenario import Scenario
from sim.simulation.fleet_plan import fleet_plan
from sim.streams import Streams
from sim.units import DAY_S

AT_S: Final = DAY_S  # the round begins here; the clock of days begins on a Monday
LONGEST_S: Final = 30 * DAY_S  # of a round


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of planned work does.

    Attributes
    ----------
    transitions : of replicas, in seconds since it begins.
    tally : of the clock of days, over the round alone.
    """

    transitions: tuple[Transition, ...]
    tally: Tally

    @property
    def length_s(self) -> float:
        """From its beginning to the last change."""
        return max((step.at_s + step.value * (step.action is Action.PAUSE) for step in self.transitions), default=0.0)

    @property
    def lost_replica_s(self) -> float:
        """Replica-seconds without service, pauses included."""
        return sum(self.tally.cause_s.values()) + sum(self.tally.pause_s.values())


def upgrade_round(scenario: Scenario, name: str, section: dict[str, object]) -> Round:
    """The round of one kind of planned work.

    Parameters
    ----------
    name, section : as under `operations` of a scenario, without its times.

    Raises
    ------
    ScenarioError : the section is not valid.
    """
    days = LONGEST_S / DAY_S
    timed = {**section, "first_days": AT_S / DAY_S, "interval_days": days}
    plan = fleet_plan(scenario.with_({"operations": {name: timed}}))
    alone = replace(
        plan,
        node_classes=(),
        replica_classes=(),
        common=Common(),
        early_amplitude=0.0,
        injected=(),
    )
    timeline = Timeline(alone, Streams(scenario.run.seed), record=True)
    tally = timeline.run(AT_S + 0.9 * LONGEST_S)  # the next round has not begun
    moved = tuple(replace(step, at_s=step.at_s - AT_S) for step in timeline.transitions if step.at_s >= AT_S)
    return Round(moved, tally)
