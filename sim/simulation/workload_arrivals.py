"""From the `arrivals` section to an arrival process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sim.scenario.arrivals import (
    BurstShape,
    ClientsArrivals,
    DeterministicArrivals,
    GammaArrivals,
    GammaShape,
    MmppArrivals,
    MmppShape,
    PoissonArrivals,
    PoissonShape,
    ProfileArrivals,
    ServeGenArrivals,
    WeibullArrivals,
    WeibullShape,
)
from sim.simulation.input_path import input_path
from sim.simulation.workload_preset import preset_mmpp, preset_week
from sim.units import HOUR_S
from sim.workload.arrivals.client_windows import ClientWindows, read_client_windows
from sim.workload.arrivals.clients import ClientArrivals
from sim.workload.arrivals.deterministic import Deterministic
from sim.workload.arrivals.mmpp import Mmpp
from sim.workload.arrivals.operational import OperationalTime
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.process import ArrivalProcess
from sim.workload.arrivals.profile import RateProfile
from sim.workload.arrivals.recorded_clients import RecordedClients
from sim.workload.arrivals.renewal import Renewal, cv_from_burstiness

OpenArrivals = (
    PoissonArrivals
    | DeterministicArrivals
    | GammaArrivals
    | WeibullArrivals
    | MmppArrivals
    | ProfileArrivals
    | ClientsArrivals
    | ServeGenArrivals
)


def open_arrivals(section: OpenArrivals, base_dir: Path | None = None) -> ArrivalProcess:
    """The open-loop process that a section describes.

    Parameters
    ----------
    base_dir : folder of the scenario file, where a relative path is looked for first.

    Raises
    ------
    ScenarioError : parameters that describe no process, with a key relative to `arrivals`.
    TraceError : a file of recorded clients cannot be read.
    """
    if isinstance(section, ServeGenArrivals):
        return RecordedClients(
            _client_windows(section, base_dir),
            section.start_s,
            section.scale,
            section.without_largest,
            section.duplicate_largest,
        )
    if isinstance(section, DeterministicArrivals):
        return Deterministic(section.rate_rps)
    if isinstance(section, ClientsArrivals):
        return ClientArrivals(
            section.rate_rps,
            section.clients,
            section.zipf,
            section.cv,
            section.without_largest,
            section.duplicate_largest,
        )
    if isinstance(section, ProfileArrivals):
        profile = _profile(section)
        return OperationalTime(profile, _burst(section.base, profile.mean_rate_rps), section.start_h * HOUR_S)
    return _burst(section, section.rate_rps)


def _client_windows(section: ServeGenArrivals, base_dir: Path | None) -> ClientWindows:
    path = input_path(section.path, base_dir)
    stat = path.stat()
    return _read(path, section.pool, (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=2)
def _read(path: Path, pool: str, version: tuple[int, int]) -> ClientWindows:  # noqa: ARG001 - part of the key
    return read_client_windows(path, pool)


def _burst(shape: BurstShape, rate_rps: float | None) -> ArrivalProcess:
    """A stationary process of the given shape and rate; only an MMPP has a rate of its own."""
    if isinstance(shape, MmppShape):
        process = _mmpp(shape)
        return process if rate_rps is None else process.scaled_to(rate_rps)
    assert rate_rps is not None, "the schema asks for the rate of every other process"
    if isinstance(shape, PoissonShape):
        return Poisson(rate_rps)
    if isinstance(shape, WeibullShape):
        return Renewal("weibull", rate_rps, shape.cv)
    return Renewal("gamma", rate_rps, _gamma_cv(shape))


def _gamma_cv(shape: GammaShape) -> float:
    if shape.cv is not None:
        return shape.cv
    assert shape.burstiness is not None, "the schema asks for one of the two"
    return cv_from_burstiness(shape.burstiness)


def _mmpp(shape: MmppShape) -> Mmpp:
    if shape.preset is not None:
        return preset_mmpp(shape.preset)
    return Mmpp(shape.rates_rps or (), shape.mean_dwell_s or (), shape.jump_probabilities)


def _profile(section: ProfileArrivals) -> RateProfile:
    if section.preset is not None:
        return preset_week(section.preset, section.rate_rps)
    profile = RateProfile(section.edges_s or (), section.rates_rps or (), section.interpolation, section.after)
    return profile if section.rate_rps is None else profile.scaled_to(section.rate_rps)
