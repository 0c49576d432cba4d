"""Continuous batching: how many sequences an engine holds whose step takes a + b * (sequences) seconds.

Every resident sequence gets one token per step, so the engine is a processor that n sequences share, at a total rate
of n / (a + b n) tokens per second. Under Poisson arrivals the number of sequences is then negative binomial, and
depends on the law of the output lengths through its mean alone (a symmetric queue: Kelly 1979, Cohen 1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, gammaln

from sim.oracle.birth_death import Probabilities, stationary
from sim.oracle.checks import positive, stable


@dataclass(frozen=True, slots=True)
class ContinuousBatching:
    """No cap on the batch.

    Parameters
    ----------
    rate_rps : arrivals per second.
    base_s : a, seconds of a step whatever the batch.
    sequence_s : b, seconds per sequence and step.
    output_tokens : mean output length; rate_rps * output_tokens * sequence_s < 1.

    Raises
    ------
    ValueError : an argument out of range, or the load is not below 1.

    Notes
    -----
    N is negative binomial with r = 1 + a / b and failure probability rho = rate * L * b. Valid for Poisson arrivals, no
    cap, no KV limit, no cost of context or prefill, steps short against a sojourn: an arrival waits for the step under
    way, half a step on average, which `sim.oracle.stepped_batching` has and this form has not.

    Sources
    -------
    Checked with a = 12 ms, b = 160 us, L = 400: E[N] 11.155963, 35.764706, 79.737705, E[T] 5.5779817, 7.1529412,
    9.9672131 s and N p99 20, 54, 112 at 2, 5, 8 requests/s; a birth and death chain gives the same.
    """

    rate_rps: float
    base_s: float
    sequence_s: float
    output_tokens: float

    def __post_init__(self) -> None:
        positive(rate_rps=self.rate_rps, sequence_s=self.sequence_s, output_tokens=self.output_tokens)
        if not self.base_s >= 0.0:
            raise ValueError(f"base_s must not be negative, is {self.base_s!r}")
        stable(self.load)

    @property
    def load(self) -> float:
        """rho: the share of an endless batch's capacity that arrivals use."""
        return self.rate_rps * self.output_tokens * self.sequence_s

    @property
    def shape(self) -> float:
        """Parameter r of the negative binomial law."""
        return 1.0 + self.base_s / self.sequence_s

    @property
    def mean_number(self) -> float:
        """Mean number of resident sequences."""
        return self.shape * self.load / (1.0 - self.load)

    @property
    def mean_sojourn_s(self) -> float:
        """Mean time from arrival to the last token."""
        return self.mean_number / self.rate_rps

    def mean_sojourn_of_s(self, output_tokens: float) -> float:
        """Mean time in the system of a request with this output length: proportional to it."""
        return self.mean_sojourn_s * output_tokens / self.output_tokens

    def number_probabilities(self, count: int) -> Probabilities:
        """(count,) share of time with 0, 1, ... sequences."""
        n, r = np.arange(count), self.shape
        logs = gammaln(n + r) - gammaln(r) - gammaln(n + 1.0) + r * np.log1p(-self.load) + n * np.log(self.load)
        result: Probabilities = np.exp(logs)
        return result

    def number_at_most_frac(self, number: int) -> float:
        """Share of time with at most `number` sequences."""
        return float(betainc(self.shape, number + 1.0, 1.0 - self.load))

    def number_quantile(self, p: float) -> int:
        """Smallest number of sequences not exceeded for a share p of the time."""
        number = 0
        while self.number_at_most_frac(number) < p:
            number += 1
        return number


@dataclass(frozen=True, slots=True)
class CappedBatching:
    """At most `max_num_seqs` sequences run; the others wait first come, first served.

    Parameters
    ----------
    rate_rps, base_s, sequence_s, output_tokens : as in `ContinuousBatching`.
    max_num_seqs : the cap; rate_rps below `capacity_rps`.

    Raises
    ------
    ValueError : an argument out of range, or the rate is not below capacity.

    Notes
    -----
    A birth and death chain with deaths at rate m / ((a + b m) L), m = min(n, cap). Exact for geometric output lengths
    and short steps; for other laws insensitivity holds only approximately once the cap binds.

    Sources
    -------
    Checked with a = 12 ms, b = 160 us, L = 400, cap 64 at 6 requests/s: E[N] 47.581099, E[T] 7.9301832 s, P(N > 64)
    0.038751111, mean queue 0.23344043, capacity 7.1942446 requests/s.
    """

    rate_rps: float
    base_s: float
    sequence_s: float
    output_tokens: float
    max_num_seqs: int

    def __post_init__(self) -> None:
        positive(rate_rps=self.rate_rps, output_tokens=self.output_tokens, max_num_seqs=self.max_num_seqs)
        positive(full_step_s=self.base_s + self.sequence_s)
        stable(self.rate_rps / self.capacity_rps)

    def completions_rps(self, sequences: int) -> float:
        """Completions per second while this many sequences run."""
        return sequences / ((self.base_s + self.sequence_s * sequences) * self.output_tokens)

    @property
    def capacity_rps(self) -> float:
        """Completions per second with a full batch."""
        return self.completions_rps(self.max_num_seqs)

    @property
    def probabilities(self) -> Probabilities:
        """Share of time with 0, 1, ... requests here, cut where the geometric tail holds less than 1e-16 of it."""
        overflow = self.rate_rps / self.capacity_rps
        states = self.max_num_seqs + int(np.ceil(-16.0 * np.log(10.0) / np.log(overflow))) + 1
        deaths = [self.completions_rps(min(n, self.max_num_seqs)) for n in range(1, states + 1)]
        return stationary([self.rate_rps] * states, deaths)

    @property
    def mean_number(self) -> float:
        """Mean number of requests here, running or waiting."""
        p = self.probabilities
        return float(np.arange(p.size) @ p)

    @property
    def mean_queue(self) -> float:
        """Mean number waiting."""
        p = self.probabilities
        return float(np.maximum(0, np.arange(p.size) - self.max_num_seqs) @ p)

    @property
    def mean_sojourn_s(self) -> float:
        """Mean time from arrival to the last token."""
        return self.mean_number / self.rate_rps

    @property
    def overflow_frac(self) -> float:
        """Share of time with more requests here than can run."""
        return float(self.probabilities[self.max_num_seqs + 1 :].sum())
