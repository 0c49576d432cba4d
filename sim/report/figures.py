"""Numbers as people read them: no more digits than the interval supports, and units that fit the size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Final

from sim.measure.histogram import RELATIVE_ERROR
from sim.study.metric import Metric

DIGITS: Final = 3  # significant digits of a figure without an interval
LEAST_DIGITS: Final = 2  # of one with an interval, however wide
MOST_DIGITS: Final = 4  # of one with an interval, however narrow
LARGE: Final = 1e6
LONGEST_WHOLE: Final = 1e15
_WORDS: Final = {
    "USD/year": "/year",
    "USD/GPU/h": "/GPU-h",
    "USD/Mtok": "/Mtok",
    "USD": "",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How a size is shown: value x factor, with words before and after it."""

    factor: float
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, ready to print.

    Attributes
    ----------
    value : with its unit, as `1.24 s`; `n/a` where it cannot be given.
    interval : as `1.20 to 1.29`, in the unit of the value; empty without one.
    note : what a reader needs beside it; never empty for `n/a`.
    """

    value: str
    interval: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """Value, interval in brackets, and the reason where there is no value."""
        if self.value == "n/a":
            return f"n/a ({self.note})"
        return f"{self.value} [{self.interval}]" if self.interval else self.value


def scale_of(value: float, unit: str) -> Scale:
    """The scale that suits a value: ms below a second, %, $, k and M."""
    size = abs(value)
    if unit == "s":
        if size >= 1.0:
            return Scale(1.0, "", " s")
        return Scale(1e6, "", " µs") if 0.0 < size < 1e-3 else Scale(1e3, "", " ms")
    if unit == "fraction":
        return Scale(100.0, "", " %")
    if unit in _WORDS:
        before, after = "$", _WORDS[unit]
        return Scale(1e-6, before, f" M{after}") if size >= LARGE else Scale(1.0, before, after)
    after = f" {unit}" if unit not in {"", "-"} else ""
    return Scale(1e-6, "", f" M{after}") if size >= LARGE else Scale(1.0, "", after)


def decimals_of(value: float, low: float | None = None, high: float | None = None) -> int:
    """Decimals to show; negative rounds to tens and hundreds.

    With an interval the last digit stands for at most half of its half-width and more than a twentieth of it, and no
    more than `MOST_DIGITS` and no fewer than `LEAST_DIGITS` digits of the value are shown; without one, `DIGITS`.
    """
    ends = [end for end in (low, high) if end is not None]
    half = max((abs(end - value) for end in ends), default=0.0)
    size = abs(value) or max((abs(end) for end in ends), default=0.0)
    if size == 0.0:
        return 0
    most = MOST_DIGITS if half > 0.0 else DIGITS
    first = floor(log10(size))
    place = first - (most - 1)
    if half > 0.0:
        place = min(max(place, floor(log10(half / 2.0))), first - (LEAST_DIGITS - 1))
    return -place


def number(value: float, decimals: int | None = None) -> str:
    """A number with thousands separators, rounded to `decimals` (by default `DIGITS` significant digits)."""
    if not isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "n/a"
    places = decimals_of(value) if decimals is None else decimals
    rounded = round(value, places)
    return f"{rounded if rounded != 0 else 0.0:,.{max(0, places)}f}"


def quantity(value: float, unit: str = "", decimals: int | None = None) -> str:
    """A number with its unit, as `850 ms` or `$1.23 M/year`."""
    scale = scale_of(value, unit)
    sign, size = ("-", -value) if value < 0 else ("", value)
    return f"{sign}{scale.before}{number(size * scale.factor, decimals)}{scale.after}"


def signed(value: float, unit: str) -> str:
    """A difference, always with its sign."""
    return quantity(value, unit) if value < 0 else f"+{quantity(value, unit)}"


def figure(
    value: float | None,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    note: str = "",
) -> Figure:
    """A figure with its interval, both to the digits that the interval supports.

    Intervals are cut at zero, and at 100 % for fractions: nothing that is reported can lie beyond.
    """
    if value is None or not isfinite(value):
        return Figure("n/a", note=note or "it was not measured")
    low, high = _within(value, unit, low, high)
    scale = scale_of(value, unit)
    scaled = [None if end is None else end * scale.factor for end in (low, high)]
    decimals = decimals_of(value * scale.factor, *scaled)
    ends = [None if end is None else number(end, decimals) for end in scaled]
    return Figure(f"{scale.before}{number(value * scale.factor, decimals)}{scale.after}", _interval(*ends), note)


def metric_figure(metric: Metric) -> Figure:
    """The figure of a metric.

    Latencies come from histograms: an interval inside one bin is as wide as the relative error of a bin.
    """
    low, high = metric.low, metric.high
    if metric.unit == "s" and metric.value and low is not None and low == high:
        low, high = metric.value * (1.0 - RELATIVE_ERROR), metric.value * (1.0 + RELATIVE_ERROR)
    return figure(metric.value, _shown_unit(metric.unit), low, high, metric.note)


def whole(value: float, unit: str = "") -> str:
    """A count or an amount to the last unit, as `753,329` or `$618,400`."""
    if unit == "USD":
        return f"-${-value:,.0f}" if round(value) < 0 else f"${abs(value):,.0f}"
    return f"{value:,.0f}" + (f" {unit}" if unit else "")


def gib(value_bytes: float) -> str:
    """Bytes in GiB."""
    return f"{value_bytes / 1024**3:,.1f} GiB"


def plural(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def duration(seconds: float) -> str:
    """A time span to all its digits, as `600 s`, `86,400 s` or `0.25 s`."""
    return f"{plain_number(seconds)} s"


def plain_number(value: float) -> str:
    """A number as a table gives it: all its digits, thousands separated."""
    if value == round(value) and abs(value) < LONGEST_WHOLE:
        return f"{value:,.0f}"
    return number(value) if abs(value) < 1e-4 else f"{value:,.6f}".rstrip("0").rstrip(".")


def _shown_unit(unit: str) -> str:
    """Units that the name of a row already says are left out."""
    return "" if unit in {"sequences", "requests", "preemptions"} else unit


def _within(value: float, unit: str, low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """The interval cut at what the unit admits, where the value itself lies inside."""
    if low is not None and value >= 0.0:
        low = max(0.0, low)
    if high is not None and unit == "fraction" and value <= 1.0:
        high = min(1.0, high)
    return low, high


def _interval(low: str | None, high: str | None) -> str:
    if low is None and high is None:
        return ""
    if low == high:
        return f"{low}, no spread"
    if high is None:
        return f"{low} or more"
    return f"up to {high}" if low is None else f"{low} to {high}"
