"""Speculative decoding of a scenario: how many tokens a step puts out, and where that figure comes from."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from sim.catalog.tables import Fact, table
from sim.errors import ScenarioError, nearest
from sim.llm.spec import ModelSpec
from sim.scenario.scenario import Scenario
from sim.steptime.draft_layer import draft_problem

TABLE: Final = "speculation"
FALLBACK: Final = "any_model"
ROUNDING_FRAC: Final = 0.005  # largest relative error of the ratio that stands for an acceptance length


@dataclass(frozen=True, slots=True)
class Speculation:
    """Drafts, and how many tokens of a step are accepted.

    Attributes
    ----------
    num_speculative_tokens : drafts per decoding sequence and step; 0 without speculative decoding.
    wanted_length : mean tokens that a step puts out, as the scenario or the catalog says.
    length : the ratio that the engine runs with.
    curve, fact : curve of the catalog and its row; None where the scenario gives the length.
    """

    num_speculative_tokens: int
    wanted_length: float
    length: Fraction
    curve: str | None
    fact: Fact | None

    @property
    def rounding_frac(self) -> float:
        """Relative error of the ratio."""
        return float(self.length) / self.wanted_length - 1.0

    @property
    def status(self) -> str:
        """Status of the catalog row; `scenario` where the scenario gives the length."""
        return "scenario" if self.fact is None else self.fact.status

    @property
    def origin(self) -> str:
        """Where the length comes from, in words."""
        if self.fact is None:
            return "set by the scenario"
        return f"{self.fact.status}, curve {self.curve}"


NONE: Final = Speculation(0, 1.0, Fraction(1), None, None)


def speculation_of(scenario: Scenario, spec: ModelSpec) -> Speculation:
    """Speculative decoding of a scenario; `NONE` when it has none.

    Raises
    ------
    ScenarioError : the model cannot draft, the layout cannot, or the curve has no value for this number of drafts.
    """
    engine = scenario.deployment.engine
    drafts = engine.num_speculative_tokens
    if not drafts:
        return NONE
    problem = draft_problem(spec)
    if problem is not None:
        raise _refused(scenario, problem, "num_speculative_tokens", drafts, "0")
    stages = scenario.deployment.layout.pipeline_parallel_size
    if stages > 1:
        problem = f"drafts wait for the last of {stages} pipeline stages, which is not modelled"
        raise _refused(scenario, problem, "num_speculative_tokens", drafts, "0, or pipeline_parallel_size 1")
    wanted, curve, fact = engine.acceptance_length, None, None
    if wanted is None:
        curve = _curve(scenario, spec)
        fact = _fact(scenario, curve, drafts)
        wanted = float(fact.value)
    return Speculation(drafts, wanted, ratio(wanted), curve, fact)


def ratio(length: float) -> Fraction:
    """The ratio with the smallest denominator within 0.5 % of an acceptance length of at least 1 (2.99: 3; 3.61: 18/5).

    The engine counts parts of tokens in units of its denominator, which stays below 100.
    """
    denominator = 1
    while abs(round(length * denominator) - length * denominator) > ROUNDING_FRAC * length * denominator:
        denominator += 1
    return Fraction(round(length * denominator), denominator)


def _curve(scenario: Scenario, spec: ModelSpec) -> str:
    """The curve of the scenario, or the one of the model's architecture, or the assumed one."""
    chosen, curves = scenario.deployment.engine.acceptance_curve, table(TABLE)
    if chosen != "auto":
        if chosen not in curves:
            hint = nearest(chosen, curves)
            raise _refused(
                scenario,
                "is no curve of the catalog" + (f"; did you mean {hint!r}?" if hint else ""),
                "acceptance_curve",
                chosen,
                "auto, " + ", ".join(curves),
            )
        return chosen
    for name, facts in curves.items():
        if "families" in facts and spec.family in str(facts["families"].value).split():
            return name
    return FALLBACK


def _fact(scenario: Scenario, curve: str, drafts: int) -> Fact:
    facts = table(TABLE)[curve]
    name = f"acceptance_length_{drafts}"
    if name not in facts:
        known = [key.rpartition("_")[2] for key in facts if key.startswith("acceptance_length_")]
        problem = f"the curve {curve} has no acceptance length for this number; set acceptance_length, or another curve"
        raise _refused(scenario, problem, "num_speculative_tokens", drafts, ", ".join(known))
    return facts[name]


def _refused(scenario: Scenario, problem: str, key: str, value: object, valid: str) -> ScenarioError:
    return ScenarioError(problem, key=f"deployment.engine.{key}", value=value, valid=valid, file=scenario.file)
