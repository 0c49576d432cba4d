"""The pay options of a result side by side, and their ledgers."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from typing import Final

from sim.report.figures import Figure, figure, metric_figure, signed
from sim.study.metric import Metric
from sim.study.result import CostLine, Result

NAMES: Final = {
    "owned": "owned",
    "reserved_1y": "reserved for 1 year",
    "reserved_3y": "reserved for 3 years",
    "on_demand": "rented on demand",
}
COST: Final = "cost_"
BASIS: Final = (
    "Effective cost: the whole fleet is paid around the clock, spares and staff included, and divided by the tokens "
    "delivered within the service level. Intervals are those of the simulated tokens; prices are taken as given."
)


@dataclass(frozen=True, slots=True)
class CostRow:
    """One way to pay.

    Attributes
    ----------
    option, name : as in the result, and in words.
    per_output, per_total : dollars per million tokens of output, and of input and output.
    per_year, per_gpu_hour : dollars.
    difference, difference_per_year : to the option with the cheapest output token, in words; empty for that one.
    """

    option: str
    name: str
    per_output: Figure
    per_total: Figure
    per_year: Figure
    per_gpu_hour: Figure
    difference: str
    difference_per_year: str


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One line of a ledger and its share of the total."""

    name: str
    usd_per_year: float
    share_frac: float
    assumed: bool


def option_name(option: str) -> str:
    """An option in words."""
    provider = option.removeprefix("api:")
    return f"API of {provider}, same weights" if provider != option else NAMES.get(option, option.replace("_", " "))


def cost_rows(result: Result) -> list[CostRow]:
    """All options, in the order of the result."""
    found: dict[str, dict[str, Metric]] = {}
    for metric in result.metrics:
        if metric.metric.startswith(COST):
            found.setdefault(metric.option, {})[metric.metric.removeprefix(COST)] = metric
    priced = [figures for figures in found.values() if _value(figures, "usd_per_mtok_output") is not None]
    cheapest = min(priced, key=lambda figures: _value(figures, "usd_per_mtok_output") or 0.0, default=None)
    return [_row(option, figures, cheapest) for option, figures in found.items()]


def ledgers(result: Result) -> dict[str, list[LedgerRow]]:
    """Lines by option, with their share of the option's sum."""
    lines: dict[str, list[CostLine]] = {}
    for line in result.ledger:
        lines.setdefault(line.option, []).append(line)
    return {option: _shares(items) for option, items in lines.items()}


def _shares(lines: list[CostLine]) -> list[LedgerRow]:
    total = fsum(line.usd_per_year for line in lines)
    return [
        LedgerRow(line.line, line.usd_per_year, line.usd_per_year / total if total else 0.0, line.status == "assumed")
        for line in lines
    ]


def _row(option: str, figures: dict[str, Metric], cheapest: dict[str, Metric] | None) -> CostRow:
    absent = "an API has no GPUs" if option.startswith("api:") else "it was not computed"
    shown = {
        name: metric_figure(figures[name]) if name in figures else Figure("n/a", note=absent)
        for name in ("usd_per_mtok_output", "usd_per_mtok_total", "usd_per_year", "usd_per_gpu_hour")
    }
    return CostRow(
        option,
        option_name(option),
        shown["usd_per_mtok_output"],
        shown["usd_per_mtok_total"],
        shown["usd_per_year"],
        shown["usd_per_gpu_hour"],
        *_differences(figures, cheapest),
    )


def _differences(figures: dict[str, Metric], cheapest: dict[str, Metric] | None) -> tuple[str, str]:
    """Differences per million output tokens and per year.

    All options pay for the same delivered tokens, so the ends of their intervals belong together.
    """
    if cheapest is None or figures is cheapest:
        return "", ""
    mine, best = figures.get("usd_per_mtok_output"), cheapest["usd_per_mtok_output"]
    if mine is None or mine.value is None or best.value is None:
        return "", ""
    value = mine.value - best.value
    low, high = _minus(mine, best, "low"), _minus(mine, best, "high")
    ends = (low, high) if low is not None and high is not None else (None, None)
    per_token = figure(value, "USD/Mtok", *ends)
    year, best_year = _value(figures, "usd_per_year"), _value(cheapest, "usd_per_year")
    per_year = "" if year is None or best_year is None else signed(year - best_year, "USD/year")
    return f"+{per_token.text}", per_year


def _minus(mine: Metric, best: Metric, end: str) -> float | None:
    """Difference at one end of the interval; a price without an interval is the same at both."""
    left, right = getattr(mine, end), getattr(best, end)
    if left is None and right is None:
        return None
    return float(mine.value if left is None else left) - float(best.value if right is None else right)  # type: ignore[arg-type]


def _value(figures: dict[str, Metric], name: str) -> float | None:
    metric = figures.get(name)
    return None if metric is None else metric.value
