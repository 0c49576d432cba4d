"""The answer of a result in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sim.report.figures import metric_figure
from sim.report.headline import limits_words
from sim.simulation.infeasible import Infeasible
from sim.study.metric import Metric
from sim.study.result import Result

Level = Literal["good", "open", "bad"]
REASONS: Final = {
    "does_not_fit": "Does not fit",
    "no_room_for_requests": "No room for requests",
    "request_too_long": "Requests too long",
    "over_capacity": "Over capacity",
    "empty_workload": "No load",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer.

    Attributes
    ----------
    level : `good`: inside the service level; `bad`: not, or it cannot work; `open`: the interval holds the target, or
        there is no target.
    title : a few words.
    sentence : the answer with its figure.
    fix : the smallest thing that would work; empty unless something does not.
    """

    level: Level
    title: str
    sentence: str
    fix: str = ""


def verdict(result: Result) -> Verdict:
    """The verdict of a result."""
    if result.infeasible is not None:
        return reason_verdict(result.infeasible)
    attainment = _attainment(result)
    target = result.scenario.slo.attainment_frac
    limits = limits_words(result.scenario)
    shown = metric_figure(attainment)
    if not limits:
        return Verdict("open", "Fits and keeps up", f"No service level is set; {shown.text} of requests completed.")
    within = f"the service level ({limits}), the target being {100 * target:g} %"
    if attainment.value is None:
        return Verdict("open", "Fits and keeps up", f"How many requests met {within}, cannot be said: {shown.note}.")
    low = attainment.value if attainment.low is None else attainment.low
    high = attainment.value if attainment.high is None else attainment.high
    sentence = f"{shown.text} of requests met {within}."
    if low >= target:
        return Verdict("good", "Fits, keeps up, meets the service level", sentence)
    if high < target:
        return Verdict("bad", "Fits and keeps up, but misses the service level", sentence)
    return Verdict(
        "open", "Fits and keeps up, at the edge of the service level", f"{sentence} The interval holds the target."
    )


def reason_verdict(reason: Infeasible) -> Verdict:
    """The verdict on something that cannot work."""
    return Verdict("bad", REASONS[reason.kind], reason.problem, reason.smallest)


def _attainment(result: Result) -> Metric:
    for metric in result.metrics:
        if metric.metric == "slo_attainment_frac":
            return metric
    return Metric(result.scenario.name, "slo_attainment_frac", "fraction", None, note="it was not measured")
