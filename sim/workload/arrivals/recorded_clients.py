"""Arrivals of the recorded clients of a service, each with the rate and the bursts of its own windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.errors import ScenarioError
from sim.streams import Streams
from sim.workload.arrivals.client_windows import WINDOW_S, ClientWindows, Whole
from sim.workload.arrivals.process import BlockDrawn, Times
from sim.workload.checks import not_negative, positive


@dataclass(frozen=True, slots=True, eq=False)
class RecordedClients(BlockDrawn):
    """The superposition of clients over their windows of 600 s, once, and then no more.

    In each window a client sends as many requests as were recorded (rate x 600 s, rounded at random), at gaps of its
    own Gamma or Weibull law, stretched so that they fill the window. Conditioning on the count keeps the recorded rates
    exactly; a free renewal process of a shape below 0.2 would miss most windows and overfill a few. Each client draws
    from a stream of its own (`arrivals.client.7`), so that one that leaves does not move the others.

    Regenerated windows of the published pools have gaps of cv 1.2 in the median together, and an index of dispersion of
    3 to 6 over 60 s, however bursty each client is.

    Parameters
    ----------
    recorded : the clients.
    start_s : where in the record the run begins.
    scale : factor on the rate of every client.
    without_largest : leave out so many of the largest clients.
    duplicate_largest : send so many of the largest clients twice, the second of each with draws of its own.

    Raises
    ------
    ScenarioError : a value out of range, no client left, or a start after the end of the record.
    """

    recorded: ClientWindows
    start_s: float = 0.0
    scale: float = 1.0
    without_largest: int = 0
    duplicate_largest: int = 0

    def __post_init__(self) -> None:
        positive("scale", self.scale)
        not_negative("start_s", self.start_s)
        if self.start_s >= self.recorded.span_s:
            raise ScenarioError(
                f"lies after the end of the record of {self.recorded.pool}",
                key="start_s",
                value=self.start_s,
                valid=f"below {self.recorded.span_s:g}",
            )
        clients = len(self.recorded.volumes)
        for key, most in (("without_largest", clients - 1), ("duplicate_largest", clients)):
            value = getattr(self, key)
            if not 0 <= value <= most:
                raise ScenarioError(
                    f"must suit the {clients} clients of {self.recorded.pool}",
                    key=key,
                    value=value,
                    valid=f"0 to {most}",
                )

    @property
    def rate_rps(self) -> float:
        """Mean rate from the start to the end of the record."""
        return self.rate_within_rps(self.recorded.span_s - self.start_s)

    def rate_within_rps(self, horizon_s: float) -> float:
        """Mean rate of the first seconds of the run; what lies after the end of the record counts as silence."""
        recorded = self.recorded
        times = self._times_sent(recorded.client)
        per_window = np.bincount(recorded.window, weights=recorded.rate_rps * times, minlength=recorded.windows)
        edges_s = np.arange(recorded.windows + 1) * WINDOW_S
        inside_s = np.diff(np.clip(edges_s, self.start_s, self.start_s + horizon_s))
        return float(self.scale * (per_window @ inside_s) / horizon_s)

    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:
        """Arrival times, one array per window, ending with the record."""
        recorded, generators = self.recorded, dict[str, np.random.Generator]()
        for window in range(int(self.start_s // WINDOW_S), recorded.windows):
            rows = recorded.rows_of(window)
            found: list[Times] = []
            for client, rate_rps, weibull, shape, times in zip(
                recorded.client[rows].tolist(),
                recorded.rate_rps[rows].tolist(),
                recorded.weibull[rows].tolist(),
                recorded.shape[rows].tolist(),
                self._times_sent(recorded.client[rows]).tolist(),
                strict=True,
            ):
                for copy in range(times):
                    stream = f"{name}.client.{client}" + (".copy" if copy else "")
                    if stream not in generators:
                        generators[stream] = streams.generator(stream)
                    found.append(_one_window(generators[stream], rate_rps * self.scale, shape, weibull=weibull))
            if found:
                times_s = np.sort(np.concatenate(found)) + (window * WINDOW_S - self.start_s)
                yield times_s[times_s >= 0.0]

    def _times_sent(self, client: Whole) -> Whole:
        """How often each client is sent: 0, 1 or 2."""
        largest = list(self.recorded.volumes)
        gone, twice = largest[: self.without_largest], largest[: self.duplicate_largest]
        return np.ones(len(client), dtype=np.int64) - np.isin(client, gone) + np.isin(client, twice)


def _one_window(rng: np.random.Generator, rate_rps: float, shape: float, *, weibull: bool) -> Times:
    """Arrival times of one client in one window, from its beginning."""
    count = int(rate_rps * WINDOW_S + rng.random())
    if count == 0:
        return np.empty(0)
    gaps = rng.weibull(shape, count + 1) if weibull else rng.standard_gamma(shape, count + 1)
    total = float(gaps.sum())
    if total <= 0.0:  # every gap of a very small shape underflowed
        return np.sort(rng.random(count)) * WINDOW_S
    return np.cumsum(gaps[:count]) * (WINDOW_S / total)
