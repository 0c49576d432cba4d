"""What constants are fitted on: served runs, which are simulated, and step times, which the step law gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sim.scenario.scenario import Scenario
from sim.simulation.build import build
from sim.simulation.step_times import step_seconds
from sim.steptime.step_rows import StepRow
from sim.study.validate.error import Comparison, compare
from sim.study.validate.point import MeasuredPoint
from sim.study.validate.predict import predict
from sim.study.validate.system import System
from sim.study.workers import Progress, spread

STEP_TIME: Final = "step time"


@dataclass(frozen=True, slots=True)
class ServedRun:
    """A run of a load generator.

    Attributes
    ----------
    load : callers or requests per second, for the order of runs.
    """

    point: MeasuredPoint
    system: System
    load: float

    @property
    def name(self) -> str:
        """As in its file."""
        return self.point.name

    @property
    def order(self) -> tuple[int, float, str]:
        """Runs by load, and before all steps."""
        return 0, self.load, self.name


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """One step of an engine."""

    name: str
    row: StepRow
    scenario: Scenario

    @property
    def order(self) -> tuple[int, float, str]:
        """By what the step holds: decode steps first."""
        row = self.row
        return 1 + bool(row.prefill_tokens), float(row.decode_seqs + row.prefill_tokens), f"{row.context_tokens:12d}"


Observation = ServedRun | MeasuredStep
Constants = Mapping[str, float]
Task = tuple[Observation, Constants]


def comparisons(
    observations: Sequence[Observation], constants: Constants, workers: int = 0, progress: Progress | None = None
) -> list[list[Comparison]]:
    """Prediction under given constants beside each observation; the same for any number of workers."""
    tasks: list[Task] = [(observation, constants) for observation in observations]
    return spread(_compared, tasks, workers=workers, progress=progress)


def _compared(task: Task, progress: Progress) -> list[Comparison]:
    observation, constants = task
    changes = {f"deployment.engine.{name}": value for name, value in constants.items()}
    if isinstance(observation, MeasuredStep):
        scenario = observation.scenario.with_(changes)
        built = build(scenario)
        seconds = step_seconds(built.served, built.cluster.limits, observation.row)
        family = (scenario.model.name, scenario.hardware.gpu, scenario.deployment.engine.name, "aggregated")
        found = [Comparison(observation.name, family, STEP_TIME, "seconds", observation.row.seconds, seconds)]
    else:
        system = observation.system
        changed = System(system.scenario.with_(changes), system.gpus, system.family)
        found = compare(observation.point, system.family, predict(changed))
    progress(1.0)
    return found
