"""Latency, goodput and cost against the offered load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.costs import option_name
from sim.report.figures import decimals_of, plain_number
from sim.report.style import BAND, COLOURS, FAINT, INK, drawn, line_style, save
from sim.scenario.scenario import Scenario
from sim.units import MILLISECOND

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SIZE: Final = (11.0, 7.6)
PERCENTILES: Final = ("p50", "p95", "p99")
COST: Final = "cost_usd_per_mtok_output"
COST_RANGE: Final = 60.0  # dearest over cheapest token that the picture shows
RATE_LABEL: Final = "offered load (requests/s)"


@dataclass(frozen=True, slots=True)
class Knee:
    """Where the load leaves the service level.

    Attributes
    ----------
    inside_rps : highest load of the curve within it, before the first one outside; None when none is.
    outside_rps : lowest load outside; None when none is.
    """

    inside_rps: float | None
    outside_rps: float | None


def save_load_curve_plot(frame: pd.DataFrame, scenario: Scenario, path: Path) -> None:
    """Draw a load curve into a file.

    Parameters
    ----------
    frame : tidy, with the columns rate_rps, status, option, metric, value, low, high.
    scenario : gives the service level and the name.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(2, 2, sharex=True, figure={"figsize": SIZE}) as (figure, axes):
        draw_load_curve(figure, axes, frame, scenario)
        save(figure, path)


def load_curve_figure(frame: pd.DataFrame, scenario: Scenario) -> Figure:
    """The plot as a matplotlib figure, for notebooks."""
    with drawn(2, 2, sharex=True, figure={"figsize": SIZE}) as (figure, axes):
        draw_load_curve(figure, axes, frame, scenario)
        return figure


def knee(frame: pd.DataFrame, target_frac: float) -> Knee:
    """The loads between which the service level is lost."""
    met = frame[frame["metric"] == "slo_attainment_frac"].sort_values("rate_rps")
    inside = None
    for rate, status, value in zip(met["rate_rps"], met["status"], met["value"], strict=True):
        if status != "completed" or not value >= target_frac:
            return Knee(inside, float(rate))
        inside = float(rate)
    return Knee(inside, None)


def draw_load_curve(figure: Any, axes: list[Any], frame: pd.DataFrame, scenario: Scenario) -> None:
    """Draw the four panels into the axes."""
    figure.suptitle(f"{scenario.name}: behaviour against load", x=0.01, ha="left", fontweight="bold")
    ttft, tpot, flow, cost = axes
    _latency(ttft, frame, "ttft", scenario.slo.ttft_ms, "Time to first token")
    _latency(tpot, frame, "tpot", scenario.slo.tpot_ms, "Time per output token")
    _flow(flow, frame)
    _cost(cost, frame)
    edge = knee(frame, scenario.slo.attainment_frac)
    for axis in axes:
        axis.set_xlim(left=0.0)
        _mark_knee(axis, edge)
    for axis in axes[2:]:
        axis.set_xlabel(RATE_LABEL)
    notes = [_knee_words(edge, scenario.slo.attainment_frac)]
    if (frame["status"] != "completed").any():
        notes.append("Hollow points: above capacity, so latencies depend on the length of the run.")
    figure.supxlabel("  ".join(notes), fontsize=8.5, x=0.01, ha="left", color=INK)


def _latency(axis: Any, frame: pd.DataFrame, stem: str, limit_ms: float | None, title: str) -> None:
    for index, percentile in enumerate(PERCENTILES):
        _series(axis, frame[frame["metric"] == f"{stem}_{percentile}_s"], index, percentile)
    axis.set_yscale("log")
    axis.set_title(title)
    axis.set_ylabel(f"{stem.upper()} (s)")
    axis.yaxis.set_major_formatter(_plain)
    axis.yaxis.set_minor_formatter(_sparse)
    if limit_ms is not None:
        axis.axhline(limit_ms * MILLISECOND, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), label="service level")
    axis.legend(loc="upper left")


def _flow(axis: Any, frame: pd.DataFrame) -> None:
    top = float(frame["rate_rps"].max())
    axis.plot([0.0, top], [0.0, top], color=FAINT, linewidth=1.0, linestyle=":", label="offered")
    for index, (metric, name) in enumerate((("request_throughput_rps", "completed"), ("goodput_rps", "goodput"))):
        _series(axis, frame[frame["metric"] == metric], index, name)
    axis.set_title("Throughput, and what of it is within the service level")
    axis.set_ylabel("requests/s")
    axis.set_ylim(bottom=0.0)
    axis.legend(loc="upper left")


def _cost(axis: Any, frame: pd.DataFrame) -> None:
    costs = frame[frame["metric"] == COST]
    for index, option in enumerate(dict.fromkeys(costs["option"])):
        _series(axis, costs[costs["option"] == option], index, option_name(str(option)))
    axis.set_yscale("log")
    axis.set_title("Effective cost of output")
    axis.set_ylabel("$ per million output tokens")
    axis.yaxis.set_major_formatter(_plain)
    axis.yaxis.set_minor_formatter(_sparse)
    _cut_top(axis, costs["value"].dropna())
    axis.legend(loc="upper center")


def _cut_top(axis: Any, values: pd.Series[float]) -> None:
    """Beyond the knee a token costs any sum; what matters is below."""
    if len(values) and values.max() > COST_RANGE * values.min():
        axis.set_ylim(0.7 * values.min(), COST_RANGE * values.min())
        axis.set_title("Effective cost of output (cut at the top)")


def _series(axis: Any, rows: pd.DataFrame, index: int, name: str) -> None:
    """One line with its band; filled points where the cluster kept up, hollow ones where it did not."""
    rows = rows.dropna(subset=["value"]).sort_values("rate_rps")
    if rows.empty:
        return
    style = line_style(index)
    rates, values = rows["rate_rps"].astype(float), rows["value"].astype(float)
    low, high = (rows[end].astype(float).fillna(values) for end in ("low", "high"))
    axis.fill_between(rates, low, high, color=style["color"], alpha=BAND, linewidth=0)
    axis.plot(rates, values, label=name, markevery=[], color=style["color"], linestyle=style["linestyle"])
    kept = (rows["status"] == "completed").to_numpy()
    for chosen, face in ((kept, style["color"]), (~kept, "white")):
        axis.plot(
            rates[chosen],
            values[chosen],
            linestyle="none",
            marker=style["marker"],
            color=style["color"],
            markerfacecolor=face,
        )


def _mark_knee(axis: Any, edge: Knee) -> None:
    if edge.inside_rps is not None:
        axis.axvspan(
            edge.inside_rps, edge.outside_rps or edge.inside_rps, color=COLOURS[4], alpha=0.25, linewidth=0, zorder=0
        )
        axis.axvline(edge.inside_rps, color=FAINT, linewidth=1.0)


def _knee_words(edge: Knee, target_frac: float) -> str:
    share = f"{plain_number(100 * target_frac)} % of requests within the service level"
    if edge.inside_rps is None:
        return f"No load of this curve keeps {share}."
    if edge.outside_rps is None:
        return f"Up to {_rate(edge.inside_rps)} requests/s, the highest load tried, keep {share}."
    return (
        f"Grey band: between {_rate(edge.inside_rps)} and {_rate(edge.outside_rps)} requests/s the load leaves {share}."
    )


def _rate(rate_rps: float) -> str:
    """Three digits, without zeros behind the point."""
    return plain_number(round(rate_rps, decimals_of(rate_rps)))


def _plain(value: float, _: object) -> str:
    return plain_number(value)


def _sparse(value: float, _: object) -> str:
    """Labels on a log axis between the powers of ten, only where there is room: 2 and 5."""
    digit = f"{value:e}"[0]
    return plain_number(value) if digit in {"2", "5"} else ""
