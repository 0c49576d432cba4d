"""`sim fault-trace`: what a fault trace says, and what it does to small fleets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.text import Text

from sim.faults.trace import FaultTrace
from sim.faults.trace_summary import MERGE_DAYS, REPAIR_QUANTILES, RETURN_DAYS, WORST_SHARES, FaultSummary
from sim.report.figures import number, plural
from sim.report.terminal import bullets, columns, heading, pairs, paragraph, render
from sim.study.fault_replay import ReplayCell

PERCENT: Final = 100.0
CLASS_HEAD: Final = ("class", "episodes", "per 1,000\nnode-days", "mean h", "median h")
REPLAY_HEAD: Final = (
    "needed",
    "spares",
    "trace\nrandom sets",
    "95 % interval",
    "90 % of sets",
    "trace\nall sets",
    "binomial",
    "shortage\nratio",
)
NOTES: Final = (
    (
        "Trace: share of time with at least the needed nodes up, among random sets of needed + spares nodes of the "
        "fleet; spares fail as well. All sets: its exact mean. Binomial: independent nodes with the "
        "fleet's availability."
    ),
    "Shortage ratio: time short of nodes in the trace, all sets, over that of the binomial law.",
    (
        "The interval is that of the mean over sets of this one record; another fleet, or another year, differs by "
        "more. It is too narrow where few sets are ever short: all sets is exact there."
    ),
)


def fault_trace_text(trace: FaultTrace, summary: FaultSummary, cells: Sequence[ReplayCell], named: bool) -> str:
    """Statistics, classes and the replay table.

    Parameters
    ----------
    named : whether the size of the fleet was given; without it a warning says that healthy nodes are missing.
    """
    title = f"{trace.source}: {plural(summary.episodes, 'episode')} on {plural(summary.nodes, 'node')} in "
    parts: list[Any] = [paragraph(f"{title}{summary.days:,.1f} days", "bold", 0), Text("")]
    if not named:
        parts += bullets(
            ["The fleet is taken to be the nodes that the file names; healthy ones are left out: --nodes"], "!"
        )
    parts += [pairs(_facts(trace, summary)), heading("Classes"), columns(CLASS_HEAD, _classes(summary), "lrrrr")]
    parts += [heading("Replay as a small fleet"), columns(REPLAY_HEAD, _cells(cells), "rrrrrrrr", gap=1)]
    return render([*parts, *bullets(NOTES)])


def fault_trace_dict(trace: FaultTrace, summary: FaultSummary, cells: Sequence[ReplayCell]) -> dict[str, Any]:
    """The same as plain data."""
    facts = asdict(summary)
    facts["repair_quantiles_h"] = dict(zip(map(str, REPAIR_QUANTILES), summary.repair_quantiles_h, strict=True))
    facts["returns"] = [
        {"days": days, "frac": seen, "expected_frac": expected}
        for days, (seen, expected) in zip(RETURN_DAYS, summary.returns, strict=True)
    ]
    facts["worst_shares"] = dict(zip(map(str, WORST_SHARES), summary.worst_shares, strict=True))
    return {
        "trace": {
            "source": trace.source,
            "format": trace.format,
            "nodes": trace.nodes,
            "from_h": trace.from_h,
            "to_h": trace.to_h,
            "open_ended": trace.open_ended,
        },
        "summary": facts,
        "replay": [{**asdict(cell), "shortage_ratio": cell.shortage_ratio} for cell in cells],
    }


def _facts(trace: FaultTrace, summary: FaultSummary) -> list[tuple[str, str]]:
    quantiles = dict(zip(REPAIR_QUANTILES, summary.repair_quantiles_h, strict=True))
    repair = ", ".join(f"p{PERCENT * p:g} {number(hours)} h" for p, hours in quantiles.items())
    returns = "; ".join(
        f"{number(seen, 2)} within {days:g} d ({number(expected, 3)} if nodes were equal and independent)"
        for days, (seen, expected) in zip(RETURN_DAYS, summary.returns, strict=True)
    )
    worst = ", ".join(
        f"worst {PERCENT * share:g} % of nodes {PERCENT * part:.0f} %"
        for share, part in zip(WORST_SHARES, summary.worst_shares, strict=True)
    )
    gap = "n/a" if summary.gap_cv is None else number(summary.gap_cv, 2)
    short = "n/a" if summary.short_gap_frac is None else f"{PERCENT * summary.short_gap_frac:.0f} %"
    rows = [
        (
            "record",
            f"days {trace.from_h / 24:,.2f} to {trace.to_h / 24:,.2f}, {trace.open_ended} still open at its end",
        ),
        ("rate", f"{number(summary.per_1000_node_days, 2)} episodes per 1,000 node-days"),
        ("repair", f"mean {number(summary.repair_mean_h, 1)} h; {repair}"),
        ("availability", f"{PERCENT * summary.availability:.2f} % of node time"),
        (
            "down at once",
            (
                f"mean {number(summary.down_mean, 1)}, sd {number(summary.down_sd, 1)}, p95 {summary.down_p95:.0f}, "
                f"p99 {summary.down_p99:.0f}, max {summary.down_max}"
            ),
        ),
        ("new fault after return", returns),
        ("nodes without a fault", f"{PERCENT * summary.without_fault_frac:.0f} %"),
        ("share of episodes", worst),
        ("gaps between starts", f"cv {gap} (1 for independent faults); {short} under 10 minutes"),
        (
            "bursts",
            (
                f"{PERCENT * summary.burst_frac:.1f} % of episodes start in 10 minutes with at least four starts; "
                f"most {summary.burst_max}"
            ),
        ),
    ]
    for gap_days, merged in zip(MERGE_DAYS, summary.merged, strict=True):
        shape = "no more unequal than chance" if merged.shape is None else f"gamma shape {number(merged.shape, 2)}"
        text = f"{number(merged.first_faults_per_1000_node_days, 2)} first faults per 1,000 node-days; {shape}"
        rows.append((f"merged within {gap_days:g} d", text))
    return rows


def _classes(summary: FaultSummary) -> list[tuple[str, ...]]:
    return [
        (
            item.name or "(none)",
            f"{item.episodes:,}",
            number(item.per_1000_node_days, 3),
            number(item.mean_h, 1),
            number(item.median_h, 1),
        )
        for item in summary.classes
    ]


def _cells(cells: Sequence[ReplayCell]) -> list[tuple[str, ...]]:
    return [
        (
            str(cell.needed),
            str(cell.spares),
            _share(cell.trace.value),
            f"{_share(cell.trace.low)} to {_share(cell.trace.high)}",
            f"{_share(cell.spread[0])} to {_share(cell.spread[1])}",
            _share(cell.all_sets),
            _share(cell.binomial),
            "n/a" if cell.shortage_ratio is None else number(cell.shortage_ratio, 2),
        )
        for cell in cells
    ]


def _share(value: float | None) -> str:
    """Five decimals; intervals are cut at one, which no share exceeds."""
    return "n/a" if value is None else f"{min(value, 1.0):.5f}"
