"""What was recorded of the clients of a service, window by window: ServeGen's table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sim.errors import ScenarioError, TraceError, nearest

WINDOW_S = 600.0
COLUMNS = ("workload", "client", "window_start_s", "rate_rps", "pattern", "shape")
PATTERNS = ("Gamma", "Weibull")

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClientWindows:
    """Rates and burst laws of the clients of one pool, one row per client and window of 600 s in which it was active.

    Attributes
    ----------
    pool : name of the pool.
    client, window : who, and the number of the window from the first of the pool; sorted by window, then client.
    rate_rps : requests of the window over its length.
    weibull : whether the gaps follow a Weibull law, or a Gamma law.
    shape : shape of that law; below 1 it is burstier than Poisson.
    """

    pool: str
    client: Whole
    window: Whole
    rate_rps: Floats
    weibull: npt.NDArray[np.bool_]
    shape: Floats

    @property
    def windows(self) -> int:
        """Windows from the first to the last, those without any request included."""
        return int(self.window[-1]) + 1

    @property
    def span_s(self) -> float:
        """Length of the record."""
        return self.windows * WINDOW_S

    @cached_property
    def volumes(self) -> dict[int, float]:
        """Mean rate of each client over the whole record, the largest first."""
        ids, inverse = np.unique(self.client, return_inverse=True)
        mean = np.bincount(inverse, weights=self.rate_rps) / self.windows
        order = np.argsort(-mean, kind="stable")
        return dict(zip(ids[order].tolist(), mean[order].tolist(), strict=True))

    @cached_property
    def rates_rps(self) -> Floats:
        """Rate of all clients together in each window."""
        together: Floats = np.bincount(self.window, weights=self.rate_rps, minlength=self.windows).astype(np.float64)
        return together

    def top_share(self, count: int) -> float:
        """Share of the requests that the largest clients send."""
        volumes = list(self.volumes.values())
        return sum(volumes[:count]) / sum(volumes)

    def rows_of(self, window: int) -> slice:
        """Rows of one window."""
        first, after = np.searchsorted(self.window, (window, window + 1)).tolist()
        return slice(first, after)


def read_client_windows(path: Path, pool: str) -> ClientWindows:
    """One pool of a Parquet file with ServeGen's client windows (columns `COLUMNS`, others ignored).

    Checked on the five published pools: 162 clients and 196 requests/s in m-large, 73 and 16.0 in deepseek-r1.

    Raises
    ------
    TraceError : the file cannot be read, lacks a column, or holds values that describe no process.
    ScenarioError : it has no such pool.
    """
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise TraceError(f"{path}: is no Parquet file: {' '.join(str(error).split())}") from None
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise TraceError(f"{path}: holds no client windows: lacks the column {missing[0]}")
    named = table["workload"].astype(str).to_numpy()
    pools = sorted(set(named.tolist()))
    if pool not in pools:
        raise ScenarioError("is no pool", key="pool", value=pool, valid=", ".join(pools), nearest=nearest(pool, pools))
    rows = named == pool
    patterns = table["pattern"].astype(str).to_numpy()[rows]
    start_s, rate_rps, shape = (
        table[name].to_numpy(dtype=np.float64)[rows] for name in ("window_start_s", "rate_rps", "shape")
    )
    client = table["client"].to_numpy(dtype=np.int64)[rows]
    if not np.isin(patterns, PATTERNS).all():
        raise TraceError(f"{path}: pattern must be {' or '.join(PATTERNS)}")
    if not (np.isfinite(rate_rps).all() and np.isfinite(shape).all() and (rate_rps >= 0).all() and (shape > 0).all()):
        raise TraceError(f"{path}: rate_rps must not be negative, and shape must be positive")
    window = np.floor((start_s - start_s.min()) / WINDOW_S).astype(np.int64)
    order = np.lexsort((client, window))
    weibull = patterns == "Weibull"
    return ClientWindows(
        pool, client[order], window[order], rate_rps[order], weibull[order].astype(np.bool_), shape[order]
    )
