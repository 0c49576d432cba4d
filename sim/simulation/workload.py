"""The workload that a scenario describes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sim.errors import ScenarioError
from sim.scenario.arrivals import ClosedLoopArrivals, PresetArrivals, TraceArrivals
from sim.scenario.lengths import Length
from sim.scenario.mix import PartSection
from sim.scenario.sessions import SessionsSection
from sim.scenario.source import SourceSection
from sim.scenario.workload import WorkloadSection
from sim.simulation.workload_arrivals import open_arrivals
from sim.simulation.workload_batch import batch_of
from sim.simulation.workload_facts import pair_of_preset
from sim.simulation.workload_lengths import length_law
from sim.simulation.workload_preset import preset_arrivals, preset_length, preset_rank_correlation
from sim.simulation.workload_sessions import preset_sessions, recorded_sessions
from sim.simulation.workload_share import rate_of_share
from sim.simulation.workload_trace import replay, trace_path
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.process import ArrivalProcess
from sim.workload.lengths.law import LengthLaw
from sim.workload.lengths.lengths import Lengths
from sim.workload.mix import Mix, Part
from sim.workload.workload import Workload

BATCH_PRIORITY = 1  # behind interactive tenants, whose priority is 0


class HasWorkload(Protocol):
    """What is read of a scenario."""

    @property
    def workload(self) -> WorkloadSection:
        """The section."""

    @property
    def base_dir(self) -> Path | None:
        """Folder of the scenario file; None for a scenario made in code."""


def workload_of(scenario: HasWorkload) -> Workload | Mix:
    """Arrivals and lengths, ready to draw; draws nothing itself, and reads a trace file once.

    Raises
    ------
    ScenarioError : parameters that describe no process or law, by dotted key.
    TraceError : the trace cannot be read, or no request is left of it.
    CatalogError : a preset is not in the catalog.
    """
    section, base_dir = scenario.workload, scenario.base_dir
    if section.mix is not None:
        mix, parts = section.mix, []
        for name, part in mix.parts.items():
            source = _Source(part, f"workload.mix.parts.{name}", base_dir)
            if part.share_frac is not None:
                source = source.at_rate(rate_of_share(mix, part.share_frac, source.at_rate(1.0).workload()))
            parts.append(source.part(name))
        return Mix(tuple(parts))
    source = _Source(section, "workload", base_dir)
    return source.workload() if section.batch is None else Mix((source.part(section.preset or "batch"),))


@dataclass(frozen=True, slots=True)
class _Source:
    """One source of requests.

    Attributes
    ----------
    section : what the scenario says of it.
    key : dotted name of the section.
    base_dir : folder of the scenario file.
    rate_rps : rate of requests, or of sessions, that a share of a mix comes to; None where the section gives it.
    """

    section: SourceSection
    key: str
    base_dir: Path | None
    rate_rps: float | None = None

    def at_rate(self, rate_rps: float) -> _Source:
        """The same source at a rate that its section does not give."""
        return replace(self, rate_rps=rate_rps)

    def part(self, name: str) -> Part:
        """The source as a part of a mix."""
        section = self.section
        own = section.priority if isinstance(section, PartSection) else None
        if section.batch is None:
            return Part(name, self.workload(), own or 0)
        with _under(f"{self.key}.batch"):
            batch = batch_of(section.batch, section.preset)
        return Part(name, self.workload(), BATCH_PRIORITY if own is None else own, batch)

    def workload(self) -> Workload:
        """Arrivals and lengths; of a batch, whose jobs have times of their own, the lengths count."""
        section = self.section
        if section.sessions is not None:
            return self._sessions(section.sessions)
        if section.trace is not None:
            with _under(f"{self.key}.trace"):
                return replay(section.trace, self.base_dir, closed=self._closed(), output_scale=section.output_scale)
        correlation = section.rank_correlation or 0.0
        if section.preset is not None and pair_of_preset(section):
            correlation = preset_rank_correlation(section.preset)
        lengths = Lengths(
            self._length("input", section.input_tokens),
            self._length("output", section.output_tokens),
            correlation,
            section.output_scale,
        )
        return Workload(self._arrivals(), lengths)

    def _sessions(self, sessions: SessionsSection) -> Workload:
        section = self.section
        with _under(f"{self.key}.sessions"):
            if section.trace is not None:
                path = trace_path(section.trace.path, self.base_dir)
                return recorded_sessions(path, sessions, output_scale=section.output_scale)
            assert section.preset is not None, "the schema asks for a preset where there is no trace"
            if self.rate_rps is not None:
                arrivals = sessions.arrivals or PresetArrivals()
                sessions = sessions.model_copy(
                    update={"arrivals": arrivals.model_copy(update={"rate_rps": self.rate_rps})}
                )
            return preset_sessions(section.preset, sessions, output_scale=section.output_scale)

    def _arrivals(self) -> ArrivalProcess | ClosedLoop:
        closed = self._closed()
        if closed is not None:
            return closed
        section = self.section
        arrivals = section.arrivals
        with _under(f"{self.key}.arrivals"):
            if arrivals is None and section.preset is None:
                assert self.rate_rps is not None, "the schema asks for arrivals where there is no preset"
                return Poisson(self.rate_rps)
            if isinstance(arrivals, PresetArrivals | None):
                assert section.preset is not None, "the schema asks for arrivals where there is no preset"
                arrivals = arrivals or PresetArrivals()
                rate_rps = arrivals.rate_rps if self.rate_rps is None else self.rate_rps
                return preset_arrivals(section.preset, rate_rps, week=arrivals.week_profile, start_h=arrivals.start_h)
            assert not isinstance(arrivals, TraceArrivals | ClosedLoopArrivals), "both are dealt with before"
            return open_arrivals(arrivals, self.base_dir)

    def _closed(self) -> ClosedLoop | None:
        arrivals = self.section.arrivals
        if self.section.batch is not None:
            return ClosedLoop(1)
        return ClosedLoop(arrivals.concurrency, arrivals.think_s) if isinstance(arrivals, ClosedLoopArrivals) else None

    def _length(self, which: str, own: Length | None) -> LengthLaw:
        with _under(f"{self.key}.{which}_tokens"):
            if own is not None:
                return length_law(own, self.base_dir)
            assert self.section.preset is not None, "the schema asks for lengths where there is no preset"
            return preset_length(self.section.preset, which)


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
