"""Latency, goodput and cost against the offered load, up to past the knee."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.errors import SimError
from sim.scenario.scenario import Scenario
from sim.study.result import Result
from sim.study.saturation import Saturation, saturation
from sim.study.simulate import simulate
from sim.study.workers import Progress

if TYPE_CHECKING:
    import pandas as pd

SHARES = (0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1)
SATURATION_WORK = 1.0  # in units of one point, for the progress figure


@dataclass(frozen=True, slots=True)
class LoadCurve:
    """Results at several offered loads.

    Attributes
    ----------
    saturation : throughput when the cluster is never short of work.
    rates_rps : offered loads, ascending.
    results : one per load.
    """

    saturation: Saturation
    rates_rps: tuple[float, ...]
    results: tuple[Result, ...]

    @property
    def capacity_rps(self) -> tuple[float | None, float | None]:
        """(highest load within the service level, lowest load outside it); None where no load of the curve is.

        The capacity for this mix and this service level lies between the two.
        """
        inside: float | None = None
        for rate, result in zip(self.rates_rps, self.results, strict=True):
            if not meets_service_level(result):
                return inside, rate
            inside = rate
        return inside, None

    def frame(self) -> pd.DataFrame:
        """Tidy: rate_rps, status, option, metric, unit, value, low, high, note; the economic utilisation filled in."""
        import pandas as pd

        inside, _ = self.capacity_rps
        frames = []
        for rate, result in zip(self.rates_rps, self.results, strict=True):
            frame = result.frame()
            frame.insert(0, "status", result.status)
            frame.insert(0, "rate_rps", rate)
            if inside is not None:
                delivered = frame["metric"] == "utilisation_delivered_frac"
                good = result.value("goodput_rps") if result.metrics else float("nan")
                frame.loc[delivered, "value"] = good / inside
                frame.loc[delivered, "note"] = f"over {inside:.4g} requests/s within the service level"
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)


def meets_service_level(result: Result) -> bool:
    """Whether a load counts as carried: the cluster kept up, and enough requests met every limit."""
    if result.status != "completed":
        return False
    attained = result.metric("slo_attainment_frac").value
    return attained is not None and attained >= result.scenario.slo.attainment_frac


def load_curve(
    scenario: Scenario,
    *,
    shares: Sequence[float] = SHARES,
    workers: int = 0,
    progress: Progress | None = None,
) -> LoadCurve:
    """Simulate a scenario at shares of its saturated throughput.

    Raises
    ------
    SimError : the scenario cannot work, or its arrivals have no rate to change.
    """
    if scenario.workload.trace is not None:
        raise SimError("a load curve changes workload.arrivals.rate_rps, which a replayed trace does not have")
    if scenario.workload.sessions is not None:
        raise SimError("a load curve changes the rate of requests, which is an outcome where sessions bring them")
    if scenario.workload.mix is not None or scenario.workload.batch is not None:
        raise SimError("a load curve changes workload.arrivals.rate_rps, which tenants and batches do not have")
    parts = len(shares) + SATURATION_WORK

    def share_of(index: float) -> Progress | None:
        return None if progress is None else lambda done: progress((index + done) / parts)

    top = saturation(scenario, workers=workers, progress=share_of(0.0))
    rates = tuple(sorted(share * top.requests_rps for share in shares))
    results = tuple(
        simulate(
            scenario.with_({"workload.arrivals.rate_rps": rate}),
            workers=workers,
            progress=share_of(index + SATURATION_WORK),
        )
        for index, rate in enumerate(rates)
    )
    return LoadCurve(top, rates, results)
