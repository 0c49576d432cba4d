"""Markov-modulated Poisson process: quiet spells and bursts that last."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.errors import ScenarioError
from sim.streams import Streams
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.process import BlockDrawn, Times
from sim.workload.checks import not_negative, positive

Floats = npt.NDArray[np.float64]
ROW_SUM_TOLERANCE = 1e-3  # published matrices are rounded to four digits
SOJOURNS = 256


@dataclass(frozen=True, slots=True)
class Mmpp(BlockDrawn):
    """Poisson arrivals whose rate follows a continuous-time Markov chain, started in its stationary law.

    Checked against the 3-state fit of the Azure 2023 code trace: mean rate 2.57/s and index of dispersion 11.1, 62.6
    and 106 in windows of 1, 10 and 60 s, where the trace has 13, 72 and 164; a Gamma renewal that fits the long
    window is five times too bursty in the short one.

    Parameters
    ----------
    rates_rps : arrival rate in each state.
    mean_dwell_s : mean of the exponential time spent in each state per visit.
    jump_probabilities : row i holds the probabilities of the next state on leaving i, zero on the diagonal; by default
        all other states are equally likely (the only choice with two states).

    Raises
    ------
    ScenarioError : unequal lengths, negative rates, no rate above zero, dwell times not positive, rows that do not sum
        to one, or states that cannot reach each other.
    """

    rates_rps: tuple[float, ...]
    mean_dwell_s: tuple[float, ...]
    jump_probabilities: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        k = len(self.rates_rps)
        if k < 2 or len(self.mean_dwell_s) != k:
            raise ScenarioError(
                "needs one dwell time per rate, two at least", key="mean_dwell_s", value=self.mean_dwell_s
            )
        for rate_rps, dwell_s in zip(self.rates_rps, self.mean_dwell_s, strict=True):
            not_negative("rates_rps", rate_rps)
            positive("mean_dwell_s", dwell_s)
        if not any(self.rates_rps):
            raise ScenarioError("has no rate above zero", key="rates_rps", value=self.rates_rps)
        _check_jumps(self._jumps(), k)

    @classmethod
    def from_transition_matrix(
        cls, rates_rps: Sequence[float], matrix: Sequence[Sequence[float]], *, step_s: float = 1.0
    ) -> Mmpp:
        """From transition probabilities per step, as a hidden Markov model fitted to counts per second gives them.

        The geometric dwell of mean step / (1 - p_ii) becomes an exponential one of the same mean, with the same jumps.

        Raises
        ------
        ScenarioError : not square, negative entries, rows that do not sum to one, or a state that is never left.
        """
        positive("step_s", step_s)
        k = len(rates_rps)
        p = np.zeros((0, 0))
        if all(len(row) == k for row in matrix):
            p = np.asarray(matrix, dtype=np.float64)
        if p.shape != (k, k) or not np.all(p >= 0) or np.any(abs(p.sum(axis=1) - 1) > ROW_SUM_TOLERANCE):
            raise ScenarioError(f"must be {k} rows of {k} probabilities that sum to 1", key="matrix", value=matrix)
        off = p - np.diag(np.diag(p))
        leave = off.sum(axis=1)
        if np.any(leave <= 0):
            raise ScenarioError("has a state that is never left", key="matrix", value=matrix)
        jumps = tuple(tuple(row) for row in (off / leave[:, None]).tolist())
        return cls(tuple(float(r) for r in rates_rps), tuple((step_s / leave).tolist()), jumps)

    @property
    def rate_rps(self) -> float:
        """Stationary mean rate."""
        return float(self.stationary() @ np.asarray(self.rates_rps))

    def scaled_to(self, rate_rps: float) -> Mmpp:
        """All rates multiplied so that the mean is `rate_rps`; dwell times stay, so bursts keep their length."""
        positive("rate_rps", rate_rps)
        factor = rate_rps / self.rate_rps
        return Mmpp(tuple(r * factor for r in self.rates_rps), self.mean_dwell_s, self.jump_probabilities)

    def stationary(self) -> Floats:
        """Share of time in each state, shape (states,)."""
        q = self._generator()
        k = len(q)
        system = np.vstack([q.T, np.ones(k)])
        share: Floats = np.linalg.lstsq(system, np.append(np.zeros(k), 1.0), rcond=None)[0]
        return share

    def dispersion(self, window_s: float) -> float:
        """Index of dispersion of counts, variance over mean in windows of `window_s`; 1 for a Poisson process.

        IDC(t) = 1 + 2 / (m t) pi R (t D - D^2 (I - e^(Qt))) R 1, with R the diagonal of rates, m the mean rate and
        D = (1 pi - Q)^-1 - 1 pi the deviation matrix (Fischer and Meier-Hellstern, 1993).
        """
        from scipy.linalg import expm

        positive("window_s", window_s)
        q, share, rates = self._generator(), self.stationary(), np.asarray(self.rates_rps)
        limit = np.outer(np.ones(len(q)), share)
        deviation = np.linalg.inv(limit - q) - limit
        integral = window_s * deviation - deviation @ deviation @ (np.eye(len(q)) - expm(q * window_s))
        return 1 + 2 / (float(share @ rates) * window_s) * float((share * rates) @ integral @ rates)

    def blocks(self, streams: Streams, name: str = "arrivals") -> Iterator[Times]:
        """Arrival times as consecutive arrays; the chain draws from the stream `name + ".states"`.

        Unit-rate Poisson arrivals are mapped through the inverse of the integral of the chain's rate.
        """
        sojourns = self._sojourns(streams.generator(f"{name}.states"))
        ends_s, expected, rates = np.zeros(1), np.zeros(1), np.zeros(0)
        for unit in Poisson(1.0).blocks(streams, name):
            while expected[-1] <= unit[-1]:
                more_s, more_rates = next(sojourns)
                ends_s = np.concatenate((ends_s, ends_s[-1] + np.cumsum(more_s)))
                expected = np.concatenate((expected, expected[-1] + np.cumsum(more_s * more_rates)))
                rates = np.concatenate((rates, more_rates))
            # the last edge not above u starts a sojourn that has arrivals, so its rate is above zero
            i = np.searchsorted(expected, unit, side="right") - 1
            yield np.minimum(ends_s[i] + (unit - expected[i]) / rates[i], ends_s[i + 1])
            keep = int(i[-1])
            ends_s, expected, rates = ends_s[keep:], expected[keep:], rates[keep:]

    def _jumps(self) -> Floats:
        k = len(self.rates_rps)
        if self.jump_probabilities is None:
            return (np.ones((k, k)) - np.eye(k)) / (k - 1)
        if len(self.jump_probabilities) != k or any(len(row) != k for row in self.jump_probabilities):
            raise ScenarioError(f"needs {k} rows of {k}", key="jump_probabilities", value=self.jump_probabilities)
        return np.asarray(self.jump_probabilities, dtype=np.float64)

    def _generator(self) -> Floats:
        leave = 1 / np.asarray(self.mean_dwell_s)
        return leave[:, None] * (self._jumps() - np.eye(len(leave)))

    def _sojourns(self, rng: np.random.Generator) -> Iterator[tuple[Floats, Floats]]:
        """Durations and rates of consecutive visits, in blocks; the residual of an exponential dwell is exponential."""
        ladder = np.cumsum(self._jumps(), axis=1)
        ladder[:, -1] = 1.0  # rounding must not leave a gap above the last step
        steps = ladder.tolist()
        rates, dwell_s = np.asarray(self.rates_rps), np.asarray(self.mean_dwell_s)
        shares = np.cumsum(self.stationary()).tolist()
        state = min(bisect_right(shares, rng.random()), len(shares) - 1)
        while True:
            visited = []
            for u in rng.random(SOJOURNS).tolist():
                visited.append(state)
                state = bisect_right(steps[state], u)
            yield dwell_s[visited] * rng.standard_exponential(SOJOURNS), rates[visited]


def _check_jumps(jumps: Floats, k: int) -> None:
    shown = jumps.tolist()
    if np.any(jumps < 0) or np.any(np.diag(jumps) != 0) or not np.allclose(jumps.sum(axis=1), 1.0, atol=1e-9):
        raise ScenarioError(
            "rows must sum to one, with zeros on the diagonal and nothing negative",
            key="jump_probabilities",
            value=shown,
        )
    reach = np.linalg.matrix_power(np.eye(k) + (jumps > 0), k)
    if not np.all(reach > 0):
        raise ScenarioError("some states cannot reach each other", key="jump_probabilities", value=shown)
