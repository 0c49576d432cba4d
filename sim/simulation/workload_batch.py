"""From the `batch` section to piles of jobs."""

from __future__ import annotations

from collections.abc import Iterator

from sim.catalog.tables import Fact
from sim.errors import ScenarioError
from sim.scenario.batch import BatchSection
from sim.simulation.preset_rows import PresetRows
from sim.simulation.workload_preset import preset_facts
from sim.units import HOUR_S
from sim.workload.batch import Batch

ROOT_KEY = "session_root_tokens"


def batch_of(section: BatchSection, preset: str | None) -> Batch:
    """The piles that a section describes; due time and shared text of the preset where the section names none.

    Raises
    ------
    ScenarioError : no due time is given, and the preset has none; with a key relative to `batch`.
    """
    rows = None if preset is None else PresetRows(preset)
    root_tokens = section.root_tokens
    if root_tokens is None:
        root_tokens = 0 if rows is None else int(rows.number_or(ROOT_KEY, 0))
    return Batch(
        section.requests,
        section.tokens,
        section.release_s,
        _deadline_s(section, rows),
        section.every_s,
        section.spread_s,
        section.max_in_flight,
        root_tokens,
    )


def batch_facts(section: BatchSection, preset: str) -> Iterator[tuple[str, Fact]]:
    """Rows of the preset that the piles depend on, by dotted name."""
    if section.deadline_h is None and section.due_s is None:
        yield from preset_facts(preset, "deadline_s")
    if section.root_tokens is None:
        yield from preset_facts(preset, ROOT_KEY)


def _deadline_s(section: BatchSection, rows: PresetRows | None) -> float:
    if section.due_s is not None:
        return section.due_s - section.release_s
    if section.deadline_h is not None:
        return section.deadline_h * HOUR_S
    if rows is None or not rows.has("deadline_s"):
        raise ScenarioError("needs deadline_h or due_s: when the jobs must be complete", key="deadline_h", valid="> 0")
    return rows.number("deadline_s")
