"""Describing a trace: rate, bursts, lengths and prefix sharing."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sim.errors import TraceError
from sim.streams import Streams
from sim.workload.trace.fits import exponential_ks, fit_gamma, fit_weibull
from sim.workload.trace.prefix import prefix_hit_tokens
from sim.workload.trace.scale import clock_tick_s, dequantise
from sim.workload.trace.summary import CountSummary, GapSummary, LengthSummary, SpreadSummary, TraceSummary
from sim.workload.trace.trace import Trace

Floats = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.int64]
CV_WINDOW_S = 300.0
LEAST_REQUESTS = 3


def describe(trace: Trace) -> TraceSummary:
    """Statistics of a trace.

    Variances are population variances (divided by n). Checked against published counts of the Azure 2023 and
    Mooncake FAST'25 traces.

    Raises
    ------
    TraceError : fewer than three requests, or all at the same instant.
    """
    if len(trace) < LEAST_REQUESTS or trace.span_s <= 0:
        raise TraceError(f"{trace.source}: needs three requests at two different times to be described")
    tick_s = clock_tick_s(trace)
    hit_frac = last_half_frac = None
    if trace.knows_prefixes:
        hits, half = prefix_hit_tokens(trace), len(trace) // 2
        hit_frac = float(hits.sum() / trace.input_tokens.sum())
        last_half_frac = float(hits[half:].sum() / trace.input_tokens[half:].sum())
    return TraceSummary(
        source=trace.source,
        requests=len(trace),
        span_s=trace.span_s,
        rate_rps=len(trace) / trace.span_s,
        sessions=None if trace.session_ids is None else len(set(trace.session_ids) - {None}),
        clock_tick_s=tick_s,
        gaps=_gaps(trace.arrival_s),
        counts=_counts(trace.arrival_s),
        spread=_spread(trace, tick_s),
        input=_lengths(trace.input_tokens),
        output=_lengths(trace.output_tokens),
        input_per_output=float(trace.input_tokens.sum() / trace.output_tokens.sum()),
        spearman=_spearman(trace.input_tokens, trace.output_tokens),
        prefix_hit_frac=hit_frac,
        prefix_hit_last_half_frac=last_half_frac,
    )


def _cv(gaps_s: Floats) -> float:
    return float(gaps_s.std() / gaps_s.mean())


def _gaps(arrival_s: Floats) -> GapSummary:
    gaps_s = np.diff(arrival_s)
    window = ((arrival_s - arrival_s[0]) // CV_WINDOW_S).astype(np.int64)
    edges = np.flatnonzero(np.diff(window)) + 1
    within = [np.diff(part) for part in np.split(arrival_s, edges)]
    cvs = [_cv(part) for part in within if len(part) > 1 and part.sum() > 0]
    positive_s = gaps_s[gaps_s > 0]
    fits = len(positive_s) > 1 and positive_s.max() > positive_s.min()
    return GapSummary(
        cv=_cv(gaps_s),
        median_window_cv=float(np.median(cvs)) if cvs else None,
        exponential_ks=exponential_ks(positive_s) if fits else None,
        gamma=fit_gamma(positive_s) if fits else None,
        weibull=fit_weibull(positive_s) if fits else None,
        zero_gaps=len(gaps_s) - len(positive_s),
    )


def _spread(trace: Trace, tick_s: float | None) -> SpreadSummary | None:
    if tick_s is None:
        return None
    arrival_s = dequantise(trace, Streams(0), tick_s).arrival_s
    return SpreadSummary(_gaps(arrival_s), _counts(arrival_s))


def _complete_windows(arrival_s: Floats, width_s: float) -> Tokens | None:
    """Arrivals in each complete window from the first arrival on; None when fewer than two are complete."""
    since_s = arrival_s - arrival_s[0]
    complete = int(since_s[-1] // width_s)
    if complete < 2:
        return None
    return np.bincount((since_s // width_s).astype(np.int64))[:complete]


def _counts(arrival_s: Floats) -> CountSummary:
    def idc(width_s: float) -> float | None:
        counts = _complete_windows(arrival_s, width_s)
        return None if counts is None else float(counts.var() / counts.mean())

    minutes = _complete_windows(arrival_s, 60.0)
    peak = None if minutes is None else float(minutes.max() / minutes.mean())
    return CountSummary(idc(1.0), idc(10.0), idc(60.0), peak)


def _lengths(tokens: Tokens) -> LengthSummary:
    logs = np.log(tokens)
    p50, p90, p95, p99 = np.quantile(tokens, [0.5, 0.9, 0.95, 0.99]).tolist()
    log_mean, log_sigma = float(logs.mean()), float(logs.std())
    longest = int(tokens.max())
    spread = longest > int(tokens.min())
    log_ks = _lognormal_ks(logs, log_mean, log_sigma) if spread else None
    return LengthSummary(float(tokens.mean()), p50, p90, p95, p99, longest, log_mean, log_sigma, log_ks)


def _lognormal_ks(logs: Floats, mean: float, sigma: float) -> float:
    from scipy.special import ndtr

    n = len(logs)
    law = ndtr((np.sort(logs) - mean) / sigma)
    return float(max((np.arange(1, n + 1) / n - law).max(), (law - np.arange(n) / n).max()))


def _spearman(first: Tokens, second: Tokens) -> float | None:
    a, b = _ranks(first), _ranks(second)
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread > 0 else None


def _ranks(values: Tokens) -> Floats:
    """Ranks from 1, ties sharing their mean rank."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts - 1) / 2)[group]
    return ranks
