"""What each split of the GPUs between prefill and decode carries, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sim.report.style import COLOURS, drawn, save

if TYPE_CHECKING:
    from sim.study.ratio import RatioSearch

SIZE: Final = (11.0, 7.6)
PERCENT: Final = 100.0
PANELS: Final = (
    ("highest_rate_rps", 1.0, "Highest load within the service level", "requests/s"),
    ("cost_usd_per_mtok_output", 1.0, "Effective cost of output there, cheapest own option", "$ per million tokens"),
    ("ttft_p95_s", 1.0, "Time to first token there, 95th percentile", "TTFT (s)"),
    ("tpot_p95_s", 1000.0, "Time per output token there, 95th percentile", "TPOT (ms)"),
)


def save_ratio_plot(search: RatioSearch, path: Path) -> None:
    """Draw one bar per split into a file; replicas that do both have a colour of their own.

    Raises
    ------
    RunDirectoryError : the file cannot be written.
    """
    with drawn(2, 2, figure={"figsize": SIZE}) as (figure, axes):
        draw_ratio(axes, search)
        save(figure, path)


def draw_ratio(axes: list[Any], search: RatioSearch) -> None:
    """Four panels over the same splits; a split that meets the service level at no load has no bar."""
    table = search.table()
    labels = [f"{split.prefill}P {split.decode}D" if split.prefill else split.name for split in search.splits]
    colours = [COLOURS[0] if split.prefill else COLOURS[1] for split in search.splits]
    places = range(len(labels))
    for axis, (metric, scale, title, unit) in zip(axes, PANELS, strict=True):
        values = table[metric].astype(float) * scale
        axis.bar(list(places), values.fillna(0.0), color=colours)
        if metric == "highest_rate_rps":
            missed = table["missed_at_rps"].astype(float)
            axis.errorbar(
                list(places), values, yerr=[values * 0.0, (missed - values).fillna(0.0)], fmt="none", ecolor="k"
            )
        axis.set_title(title)
        axis.set_ylabel(unit)
        axis.set_xticks(list(places), labels, rotation=30, ha="right")
