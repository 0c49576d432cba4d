"""The workload that a scenario describes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sim.errors import ScenarioError
from sim.scenario.arrivals import ClosedLoopArrivals, PresetArrivals, TraceArrivals
from sim.scenario.lengths import Length
from sim.scenario.sessions import SessionsSection
from sim.scenario.workload import WorkloadSection
from sim.simulation.workload_arrivals import open_arrivals
from sim.simulation.workload_facts import pair_of_preset
from sim.simulation.workload_lengths import length_law
from sim.simulation.workload_preset import preset_arrivals, preset_length, preset_rank_correlation
from sim.simulation.workload_sessions import preset_sessions, recorded_sessions
from sim.simulation.workload_trace import replay, trace_path
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.arrivals.process import ArrivalProcess
from sim.workload.lengths.law import LengthLaw
from sim.workload.lengths.lengths import Lengths
from sim.workload.workload import Workload


class HasWorkload(Protocol):
    """What is read of a scenario."""

    @property
    def workload(self) -> WorkloadSection:
        """The section."""

    @property
    def base_dir(self) -> Path | None:
        """Folder of the scenario file; None for a scenario made in code."""


def workload_of(scenario: HasWorkload) -> Workload:
    """Arrivals and lengths, ready to draw; draws nothing itself, and reads a trace file once.

    Raises
    ------
    ScenarioError : parameters that describe no process or law, by dotted key.
    TraceError : the trace cannot be read, or no request is left of it.
    CatalogError : a preset is not in the catalog.
    """
    section = scenario.workload
    if section.sessions is not None:
        return _sessions(section, section.sessions, scenario.base_dir)
    if section.trace is not None:
        with _under("workload.trace"):
            return replay(section.trace, scenario.base_dir, closed=_closed(section), output_scale=section.output_scale)
    correlation = section.rank_correlation or 0.0
    if section.preset is not None and pair_of_preset(section):
        correlation = preset_rank_correlation(section.preset)
    lengths = Lengths(
        _length(section, "input", section.input_tokens),
        _length(section, "output", section.output_tokens),
        correlation,
        section.output_scale,
    )
    return Workload(_arrivals(section), lengths)


def _sessions(section: WorkloadSection, sessions: SessionsSection, base_dir: Path | None) -> Workload:
    if section.trace is not None:
        with _under("workload.sessions"):
            path = trace_path(section.trace.path, base_dir)
            return recorded_sessions(path, sessions, output_scale=section.output_scale)
    assert section.preset is not None, "the schema asks for a preset where there is no trace"
    with _under("workload.sessions"):
        return preset_sessions(section.preset, sessions, output_scale=section.output_scale)


def _arrivals(section: WorkloadSection) -> ArrivalProcess | ClosedLoop:
    closed = _closed(section)
    if closed is not None:
        return closed
    arrivals = section.arrivals
    with _under("workload.arrivals"):
        if isinstance(arrivals, PresetArrivals | None):
            assert section.preset is not None, "the schema asks for arrivals where there is no preset"
            arrivals = arrivals or PresetArrivals()
            return preset_arrivals(
                section.preset, arrivals.rate_rps, week=arrivals.week_profile, start_h=arrivals.start_h
            )
        assert not isinstance(arrivals, TraceArrivals | ClosedLoopArrivals), "both are dealt with before"
        return open_arrivals(arrivals)


def _closed(section: WorkloadSection) -> ClosedLoop | None:
    arrivals = section.arrivals
    return ClosedLoop(arrivals.concurrency, arrivals.think_s) if isinstance(arrivals, ClosedLoopArrivals) else None


def _length(section: WorkloadSection, which: str, own: Length | None) -> LengthLaw:
    with _under(f"workload.{which}_tokens"):
        if own is not None:
            return length_law(own)
        assert section.preset is not None, "the schema asks for lengths where there is no preset"
        return preset_length(section.preset, which)


@contextmanager
def _under(prefix: str) -> Iterator[None]:
    """Put the section's dotted name before the key of a scenario error."""
    try:
        yield
    except ScenarioError as error:
        raise ScenarioError(
            error.problem,
            key=f"{prefix}.{error.key}" if error.key else prefix,
            value=error.value,
            valid=error.valid,
            nearest=error.nearest,
        ) from None
