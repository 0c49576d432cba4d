"""Phases alone, and what a technique is worth in them: with it over without it, as reports state it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sim.catalog.tables import number, subject
from sim.study.validate.check import Check
from sim.study.validate.error import METRICS, THROUGHPUT, Comparison
from sim.study.validate.phase import REPORT
from sim.study.validate.point import MeasuredPoint
from sim.study.validate.predict import Predicted
from sim.study.validate.system import System

TABLE: Final = "reported_ratios"
PHASES: Final = "a phase alone: tokens/s per GPU"
RATIOS: Final = "a technique: throughput with it over without"
PHASE_TARGET_FRAC: Final = 0.2
RATIO_TARGET_FRAC: Final = 0.25
OFF: Final[dict[str, dict[str, Any]]] = {
    "eplb": {"deployment.expert_imbalance.eplb": None},
    "two_batch_overlap": {"deployment.engine.enable_two_batch_overlap": False},
}


@dataclass(frozen=True, slots=True)
class Twin:
    """A phase with a technique and without it.

    Attributes
    ----------
    parameter : the reported ratio: technique, phase, and tokens (or sequences) per GPU where the report names them.
    """

    point: str
    parameter: str
    using: System
    without: System


def phase_checks(known: Sequence[tuple[MeasuredPoint, System]], comparisons: Sequence[Comparison]) -> Iterator[Check]:
    """Throughput of every point that measured one phase alone."""
    alone = {point.name for point, system in known if system.phase is not None}
    for entry in comparisons:
        if entry.point in alone and entry.metric == THROUGHPUT:
            yield Check(PHASES, entry.point, entry.measured, entry.predicted, PHASE_TARGET_FRAC)


def twins(known: Sequence[tuple[MeasuredPoint, System]]) -> list[Twin]:
    """Of each balanced phase alone, every technique whose worth its report states."""
    found = []
    for point, system in known:
        if system.phase is None or system.scenario.deployment.expert_imbalance.eplb is None:
            continue
        for parameter in subject(TABLE, REPORT):
            technique, role, *tokens = parameter.split("/")
            if role == system.phase.role:
                using = _with_tokens(system, int(tokens[0])) if tokens else system
                without = replace(using, scenario=using.scenario.with_(OFF[technique]))
                found.append(Twin(point.name, parameter, using, without))
    return found


def technique_checks(found: Sequence[Twin], predicted: Sequence[Predicted]) -> Iterator[Check]:
    """Measured and simulated ratio of each twin; `predicted` has two entries for each, with the technique first."""
    for place, twin in enumerate(found):
        using, without = (_throughput(one) for one in predicted[2 * place : 2 * place + 2])
        name = f"{twin.parameter.replace('_', ' ').replace('/', ', ')} ({twin.point})"
        yield Check(RATIOS, name, number(TABLE, REPORT, twin.parameter), using / without, RATIO_TARGET_FRAC)


def _with_tokens(system: System, tokens: int) -> System:
    assert system.phase is not None
    limits = {"max_num_batched_tokens": tokens} | ({"max_num_seqs": tokens} if system.phase.role == "decode" else {})
    changes = {f"deployment.engine.{name}": value for name, value in limits.items()}
    phase = replace(system.phase, tokens=tokens)
    return replace(system, scenario=system.scenario.with_(changes), phase=phase)


def _throughput(predicted: Predicted) -> float:
    return next(predicted[column] for column in METRICS[THROUGHPUT] if column in predicted)
