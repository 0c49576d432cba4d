"""From the `trace` section to a replay."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sim.scenario.source import TraceSection
from sim.simulation.input_path import input_path
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.trace.reader import read_trace
from sim.workload.trace.scaling import Scaling
from sim.workload.trace.trace import Trace
from sim.workload.workload import Workload


def replay(
    section: TraceSection, base_dir: Path | None, *, closed: ClosedLoop | None = None, output_scale: float = 1.0
) -> Workload:
    """The requests of a trace, scaled as the section says, the first at time zero.

    Parameters
    ----------
    base_dir : folder of the scenario file, where a relative path is looked for first.
    closed : callers that take only the lengths.
    output_scale : factor on each output.

    Raises
    ------
    TraceError : the file cannot be read, or no request is left of it.
    """
    scaling = Scaling(
        dequantise_s=section.dequantise_s,
        thin_frac=section.thin_frac,
        replicate=section.replicate,
        time_warp=section.time_warp,
        max_requests=section.max_requests,
    )
    trace = trace_of(section, base_dir)
    return Workload.from_trace(trace, scaling=scaling, closed=closed, output_scale=output_scale)


def trace_of(section: TraceSection, base_dir: Path | None) -> Trace:
    """The trace as the file has it; read once while the file does not change.

    Raises
    ------
    TraceError : the file is missing, truncated, malformed or empty.
    """
    path = trace_path(section.path, base_dir)
    stat = path.stat()
    return _read(path, section.format, section.sort, (stat.st_mtime_ns, stat.st_size))


def trace_path(name: str, base_dir: Path | None) -> Path:
    """Where the trace lies: beside the scenario file, else relative to the working folder.

    Raises
    ------
    TraceError : in neither place.
    """
    return input_path(name, base_dir, "trace file")


@lru_cache(maxsize=2)
def _read(path: Path, form: str, sort: bool, version: tuple[int, int]) -> Trace:  # noqa: ARG001 - part of the key
    return read_trace(path, form, sort=sort)
