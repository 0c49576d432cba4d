"""A trace's description as rows of text, for a table."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sim.workload.trace.fits import GapFit
from sim.workload.trace.summary import CountSummary, GapSummary, LengthSummary, TraceSummary

Row = tuple[str, str, str]


def describe_rows(summary: TraceSummary) -> list[Row]:
    """(statistic, value, unit) of everything that the trace tells, values rounded for reading; '-' is no unit."""
    return [
        ("requests", f"{summary.requests:,}", "requests"),
        ("span", f"{summary.span_s:,.0f}" if summary.span_s >= 100 else f"{summary.span_s:.3g}", "s"),
        ("mean rate", _figure(summary.rate_rps, 3), "req/s"),
        *_known("sessions", summary.sessions, 0, "sessions"),
        *_time_rows(summary),
        *_length_rows("input", summary.input),
        *_length_rows("output", summary.output),
        ("input tokens per output token", _figure(summary.input_per_output, 3), "-"),
        *_known("rank correlation of input and output", _rounded(summary.spearman), None),
        *_known("prefix hits, unlimited cache", _percent(summary.prefix_hit_frac), 3, "% of input"),
        *_known("prefix hits, second half", _percent(summary.prefix_hit_last_half_frac), 3, "% of input"),
    ]


def _time_rows(summary: TraceSummary) -> Iterator[Row]:
    """Gaps and counts; those of a coarse clock after its ticks are spread, which is told."""
    if summary.spread is None:
        yield from _gap_rows(summary.gaps)
        yield from _count_rows(summary.counts)
        return
    yield from _known("tick of the clock", summary.clock_tick_s, 3, "s")
    yield "gap CV as stamped", _figure(summary.gaps.cv, 3), "-"
    for name, value, unit in (*_gap_rows(summary.spread.gaps), *_count_rows(summary.spread.counts)):
        yield f"{name} (ticks spread)", value, unit


def _gap_rows(gaps: GapSummary) -> Iterator[Row]:
    yield "gap CV", _figure(gaps.cv, 4), "-"
    yield from _known("gap CV, median of 5-min windows", gaps.median_window_cv, 3)
    if gaps.zero_gaps:
        yield "gaps of zero, left out of the fits", f"{gaps.zero_gaps:,}", "gaps"
    yield from _known("distance to exponential gaps", gaps.exponential_ks, 2, "KS")
    yield from _fit_rows("Gamma", gaps.gamma)
    yield from _fit_rows("Weibull", gaps.weibull)


def _count_rows(counts: CountSummary) -> Iterator[Row]:
    yield from _known("index of dispersion, 1 s", counts.idc_1s, 3)
    yield from _known("index of dispersion, 10 s", counts.idc_10s, 3)
    yield from _known("index of dispersion, 60 s", counts.idc_60s, 3)
    yield from _known("peak minute / mean", counts.peak_minute_ratio, 3)


def _fit_rows(law: str, fit: GapFit | None) -> Iterator[Row]:
    if fit is not None:
        yield f"{law} fit: shape", _figure(fit.shape, 3), "-"
        yield f"{law} fit: CV", _figure(fit.cv, 3), "-"
        yield f"{law} fit: distance", _figure(fit.ks, 2), "KS"


def _length_rows(which: str, lengths: LengthSummary) -> Iterator[Row]:
    yield f"{which} mean", f"{lengths.mean:,.2f}", "tokens"
    for name in ("p50", "p90", "p95", "p99", "max"):
        yield f"{which} {name}", f"{math.floor(getattr(lengths, name) + 0.5):,}", "tokens"
    yield f"{which} lognormal fit: mu", f"{lengths.log_mean:.2f}", "ln tokens"
    yield f"{which} lognormal fit: sigma", f"{lengths.log_sigma:.2f}", "-"
    yield from _known(f"{which} lognormal fit: distance", lengths.log_ks, 2, "KS")


def _known(name: str, value: float | None, digits: int | None, unit: str = "-") -> Iterator[Row]:
    """One row, or none where the trace does not tell; without digits the value stands as it is."""
    if value is not None:
        yield name, str(value) if digits is None else _figure(value, digits), unit


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2) + 0.0


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _figure(value: float, digits: int) -> str:
    """A number with so many significant digits and no exponent; whole numbers for 0 digits or from 1,000 on."""
    if digits == 0 or abs(value) >= 10 ** max(digits, 3):
        return f"{value:,.0f}"
    text = f"{value:#.{digits}g}"
    return (f"{float(text):.12f}".rstrip("0") if "e" in text else text).rstrip(".")
