"""The tail of the latencies: share of requests slower than a value, on log axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sim.report.figures import plain_number
from sim.report.sections import metrics_of
from sim.report.style import COLOURS, FAINT, INK, LINES, MARKERS, drawn, svg_text
from sim.study.result import Result
from sim.units import MILLISECOND

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SERIES: Final = (("ttft", "TTFT"), ("tpot", "TPOT"), ("e2el", "E2EL"))
LEVELS: Final = (("p50", 0.5), ("p90", 0.1), ("p95", 0.05), ("p99", 0.01))
LOWEST_SHARE: Final = 1e-4
LABEL: Final = (
    "Share of requests slower than a time, against that time, for time to first token, time per output token and "
    "end-to-end latency; vertical lines are the limits of the service level"
)


def latency_svg(result: Result) -> str:
    """The plot as an inline SVG element; empty when no latency was measured."""
    if not any(name in result.histograms and result.histograms[name].count for name in ("ttft_s", "tpot_s", "e2el_s")):
        return ""
    with drawn(figure={"figsize": (8.4, 3.9)}) as (figure, (axis,)):
        draw_latency(axis, result)
        return svg_text(figure, "latency", LABEL)


def latency_figure(result: Result) -> Figure:
    """The plot as a matplotlib figure, for notebooks."""
    with drawn(figure={"figsize": (8.4, 3.9)}) as (figure, (axis,)):
        draw_latency(axis, result)
        return figure


def draw_latency(axis: Any, result: Result) -> None:
    """Draw the tails, the percentiles with their intervals, and the limits into an axis."""
    floor = LOWEST_SHARE
    for index, (stem, name) in enumerate(SERIES):
        histogram = result.histograms.get(f"{stem}_s")
        if histogram is None or not histogram.count:
            continue
        values, shares = histogram.tail()
        seen = shares > 0.0
        axis.plot(values[seen], shares[seen], color=COLOURS[index], linestyle=LINES[index], label=name)
        floor = min(floor, max(1e-6, float(shares[seen].min()))) if seen.any() else floor
        _percentiles(axis, result, stem, index)
        _limit(axis, result, stem, name, index)
    for name, share in LEVELS:
        axis.axhline(share, color=FAINT, linewidth=0.7, linestyle=(0, (1, 3)))
        axis.annotate(
            name,
            (1.0, share),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            color=FAINT,
            fontsize=8,
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_ylim(floor, 1.3)
    axis.set_xlabel("time (s)")
    axis.set_ylabel("share of requests slower")
    axis.xaxis.set_major_formatter(_seconds)
    axis.yaxis.set_major_formatter(_share)
    axis.legend(loc="lower left")


def _percentiles(axis: Any, result: Result, stem: str, index: int) -> None:
    """Points at the reported percentiles, with their intervals as bars."""
    known = metrics_of(result)
    for name, share in LEVELS:
        metric = known.get(f"{stem}_{name}_s")
        if metric is None or not metric.value:
            continue
        low = metric.value if metric.low is None else metric.low
        high = metric.value if metric.high is None else metric.high
        bars = [[max(0.0, metric.value - low)], [max(0.0, high - metric.value)]]
        axis.errorbar(
            [metric.value],
            [share],
            xerr=bars,
            color=COLOURS[index],
            marker=MARKERS[index],
            markersize=4.5,
            linewidth=1.0,
            capsize=2.5,
        )


def _limit(axis: Any, result: Result, stem: str, name: str, index: int) -> None:
    limit_ms = getattr(result.scenario.slo, f"{stem}_ms", None)
    if limit_ms is None:
        return
    limit_s = limit_ms * MILLISECOND
    axis.axvline(limit_s, color=COLOURS[index], linewidth=1.1, linestyle=(0, (4, 2)))
    axis.annotate(
        f"{name} limit",
        (limit_s, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(3, -2),
        textcoords="offset points",
        va="top",
        rotation=90,
        fontsize=8,
        color=INK,
    )


def _seconds(value: float, _: object) -> str:
    return plain_number(value)


def _share(value: float, _: object) -> str:
    return f"{plain_number(100 * value)} %"
