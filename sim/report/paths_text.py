"""Paths to a service side by side, a table for each case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from sim.report.providers_text import hours, share
from sim.report.terminal import bullets, columns, heading, render, two_lines
from sim.stats.estimate import Estimate
from sim.study.provider_loss import LossCase
from sim.study.service_paths import Comparison
from sim.units import YEAR_H

PERCENT: Final = 100.0
HEAD: Final = (
    "path",
    "time clear",
    "closed\nform",
    "lost a year",
    "worst\nhour",
    "longest\nof a year",
    "years with\nover a day",
)
NOTES: Final = (
    (
        "A > B: A, with B behind it. Time clear: no request fails. Lost a year: hours of all requests. The second line "
        "is the 95 % interval; all paths see the same faults and incidents."
    ),
    (
        "Where long outages are rare, few simulated years have one and the interval is too narrow: go by the closed "
        "form, or simulate more years."
    ),
    (
        "Own nodes here fail independently of each other; real fleets with spares are short of nodes 1.2 to 3 times as "
        "long (sim fault-trace)."
    ),
    "Withdrawal and bar of weights are stated rates with few events behind them: scenarios, no forecasts.",
)


def paths_text(found: Sequence[tuple[LossCase, Comparison]]) -> str:
    """One table per case, and the notes."""
    parts: list[RenderableType] = []
    for case, comparison in found:
        rows = [
            (
                one.name,
                _stacked(share(one.clear)),
                "" if one.theory_clear is None else f"{one.theory_clear * PERCENT:.4f} %",
                _stacked(hours(_lost(one.served))),
                _percent(one.worst_hour),
                hours(Estimate(one.longest_h.value)),
                _percent(one.over["1 day"]),
            )
            for one in comparison.paths
        ]
        parts += [heading(case.name), columns(HEAD, rows, "lrrrrrr", gap=1)]
    return render([*parts, heading("How to read this"), *bullets(NOTES)])


def _lost(served: Estimate) -> Estimate:
    value, low, high = (
        None if end is None else (1.0 - end) * YEAR_H for end in (served.value, served.high, served.low)
    )
    return Estimate(value, low, high)


def _stacked(text: str) -> Text:
    """The interval under its figure."""
    value, _, interval = text.partition(" [")
    return two_lines(value, interval.removesuffix("]"))


def _percent(estimate: Estimate) -> str:
    return "n/a" if estimate.value is None else f"{estimate.value * PERCENT:.1f} %"
