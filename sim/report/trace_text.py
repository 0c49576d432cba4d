"""`sim trace describe`: what a trace is like."""

from __future__ import annotations

from math import floor
from typing import Any

from rich.console import RenderableType

from sim.report.figures import number, quantity
from sim.report.terminal import columns, heading, pairs, paragraph, render
from sim.workload.trace.fits import GapFit
from sim.workload.trace.summary import CountSummary, GapSummary, LengthSummary, TraceSummary

DAY_S, HOUR_S = 86_400.0, 3600.0
LENGTH_HEAD = ("tokens", "mean", "p50", "p90", "p95", "p99", "longest", "log mean", "log sigma", "KS to lognormal")
COARSE = (
    "Requests share their times because the clock is coarse, so gaps as stamped mean little; the second column spreads "
    "them over one tick first, as workload.trace.dequantise_s does."
)


def describe_text(summary: TraceSummary) -> str:
    """The figures of a trace, in tables."""
    parts: list[RenderableType] = [paragraph(summary.source, "bold", 0), pairs(_overall(summary))]
    parts += [heading("Lengths"), columns(LENGTH_HEAD, _lengths(summary), "lrrrrrrrrr", gap=1)]
    parts += [heading("Arrivals"), *_arrivals(summary)]
    parts += [heading("Sharing"), pairs(_sharing(summary))]
    return render(parts)


def describe_dict(summary: TraceSummary) -> dict[str, Any]:
    """The same as plain data."""
    return dict(summary.as_dict())


def _overall(summary: TraceSummary) -> list[tuple[str, str]]:
    tick = "fine" if summary.clock_tick_s is None else f"ticks of {number(summary.clock_tick_s)} s"
    return [
        ("Requests", f"{summary.requests:,}"),
        ("First to last", _duration(summary.span_s)),
        ("Rate", f"{number(summary.rate_rps, 4)} requests/s"),
        ("Conversations", "not told by this trace" if summary.sessions is None else f"{summary.sessions:,}"),
        ("Clock", tick),
    ]


def _duration(seconds: float) -> str:
    if seconds >= DAY_S:
        return f"{number(seconds, 0)} s ({number(seconds / DAY_S)} days)"
    return f"{number(seconds, 0)} s ({number(seconds / HOUR_S)} h)" if seconds >= HOUR_S else quantity(seconds, "s")


def _lengths(summary: TraceSummary) -> list[tuple[str, ...]]:
    return [_length_row("input", summary.input), _length_row("output", summary.output)]


def _length_row(name: str, length: LengthSummary) -> tuple[str, ...]:
    quantiles = (length.p50, length.p90, length.p95, length.p99)
    return (
        name,
        number(length.mean, 1),
        *(f"{floor(value + 0.5):,}" for value in quantiles),  # halves up, as traces are published
        f"{length.max:,}",
        number(length.log_mean, 3),
        number(length.log_sigma, 3),
        "all equal" if length.log_ks is None else number(length.log_ks, 3),
    )


def _arrivals(summary: TraceSummary) -> list[RenderableType]:
    found = [("as stamped", summary.gaps, summary.counts)]
    if summary.spread is not None:
        found.append(("spread over the tick", summary.spread.gaps, summary.spread.counts))
    by_kind = [_arrival_values(gaps, counts) for _, gaps, counts in found]
    rows = [(name, *(values[name] for values in by_kind)) for name in by_kind[0]]
    table = columns(("", *(title for title, _, _ in found)), rows, "lrr")
    return [table, paragraph(COARSE, "dim")] if summary.spread is not None else [table]


def _arrival_values(gaps: GapSummary, counts: CountSummary) -> dict[str, str]:
    few = "too few windows"
    return {
        "CV of the gaps": number(gaps.cv, 3),
        "CV within 5 minutes, median": _or(gaps.median_window_cv, few),
        "gaps of zero": f"{gaps.zero_gaps:,}",
        "variance over mean of counts: 1 s": _or(counts.idc_1s, few),
        "10 s": _or(counts.idc_10s, few),
        "60 s": _or(counts.idc_60s, few),
        "busiest minute over mean": _or(counts.peak_minute_ratio, few),
        "KS to exponential gaps": _or(gaps.exponential_ks, "no fit"),
        "Gamma fit": _fit(gaps.gamma),
        "Weibull fit": _fit(gaps.weibull),
    }


def _or(value: float | None, reason: str) -> str:
    return reason if value is None else number(value, 3)


def _fit(fit: GapFit | None) -> str:
    return "no fit" if fit is None else f"shape {number(fit.shape, 3)}, CV {number(fit.cv, 3)}, KS {number(fit.ks, 3)}"


def _sharing(summary: TraceSummary) -> list[tuple[str, str]]:
    no_blocks = "not told by this trace: it has no prefix hashes"
    return [
        ("Input per output token", number(summary.input_per_output, 3)),
        ("Rank correlation of input and output", _or(summary.spearman, "all lengths are equal")),
        ("Prompt tokens an unlimited prefix cache serves", _percent(summary.prefix_hit_frac, no_blocks)),
        ("The same in the second half", _percent(summary.prefix_hit_last_half_frac, no_blocks)),
    ]


def _percent(value: float | None, reason: str) -> str:
    return reason if value is None else f"{number(100 * value, 2)} %"
