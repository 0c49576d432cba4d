"""The law of a scenario beside a table of steps: a second opinion on step times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sim.errors import ScenarioError
from sim.scenario.scenario import Scenario
from sim.simulation.check import check
from sim.simulation.step_times import step_seconds
from sim.steptime.step_rows import StepRow

KINDS = ("decode", "prefill", "mixed")


@dataclass(frozen=True, slots=True)
class ComparedStep:
    """One step.

    Attributes
    ----------
    row : as tabulated.
    law_s : what the law of the scenario says.
    """

    row: StepRow
    law_s: float

    @property
    def kind(self) -> str:
        """Whether it decodes, prefills, or both."""
        if not self.row.prefill_tokens:
            return "decode"
        return "mixed" if self.row.decode_seqs else "prefill"

    @property
    def error_frac(self) -> float:
        """The law over the table, less one."""
        return self.law_s / self.row.seconds - 1.0


@dataclass(frozen=True, slots=True)
class StepErrors:
    """Errors of one kind of steps.

    Attributes
    ----------
    steps : how many.
    median_frac, median_abs_frac, p90_abs_frac : signed median, median and 90th percentile of the absolute error.
    """

    kind: str
    steps: int
    median_frac: float
    median_abs_frac: float
    p90_abs_frac: float


def compare_steps(scenario: Scenario, rows: Iterable[StepRow]) -> list[ComparedStep]:
    """Every row beside the law that the scenario is simulated with.

    Raises
    ------
    ScenarioError : the scenario cannot work, or has two pools.
    """
    found = check(scenario)
    if found.built is None or (found.infeasible is not None and found.infeasible.kind == "does_not_fit"):
        problem = found.infeasible.problem if found.infeasible is not None else "cannot be built"
        raise ScenarioError(problem, file=scenario.file)
    if found.built.decode_served is not None:
        raise ScenarioError(
            "two pools have two laws: compare a scenario of one of them",
            key="deployment.disaggregation",
            file=scenario.file,
        )
    built = found.built
    return [ComparedStep(row, step_seconds(built.served, built.cluster.limits, row)) for row in rows]


def step_errors(steps: Iterable[ComparedStep]) -> list[StepErrors]:
    """One summary per kind that has steps."""
    known = list(steps)
    found = []
    for kind in KINDS:
        errors = np.array([step.error_frac for step in known if step.kind == kind])
        if len(errors):
            size = np.abs(errors)
            figures = (np.median(errors), np.median(size), np.quantile(size, 0.9))
            found.append(StepErrors(kind, len(errors), *(float(figure) for figure in figures)))
    return found
