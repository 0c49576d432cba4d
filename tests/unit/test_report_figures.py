"""Figures never say more than their interval knows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.report.figures import decimals_of, duration, figure, listed, metric_figure, number, quantity, signed, whole
from sim.study.metric import Metric

SIZES = st.floats(min_value=1e-9, max_value=1e12, allow_nan=False)
WIDTHS = st.floats(min_value=1e-7, max_value=10.0)


@given(SIZES, WIDTHS)
def test_last_digit_is_no_finer_than_a_twentieth_of_the_half_width(value: float, width: float) -> None:
    """The last digit shown is worth more than a twentieth of the half-width, or it is the second of the value."""
    low, high = value * (1 - width / 2), value * (1 + width / 2)
    half = max(value - low, high - value)
    place = 10.0 ** -decimals_of(value, low, high)
    assert place > half / 20 * (1 - 1e-9) or place > value / 100


@given(SIZES, WIDTHS)
def test_last_digit_is_fine_enough(value: float, width: float) -> None:
    """It is worth at most half of the half-width, unless four digits do not reach that far."""
    low, high = value * (1 - width / 2), value * (1 + width / 2)
    half = max(value - low, high - value)
    place = 10.0 ** -decimals_of(value, low, high)
    assert place <= half / 2 * (1 + 1e-9) or place <= value * 1e-2


@given(SIZES)
def test_without_an_interval_three_digits_are_shown(value: float) -> None:
    """The text reads back within half a unit of the third digit."""
    text = number(value).replace(",", "")
    assert abs(float(text) - value) <= 0.5 * 10.0 ** -decimals_of(value) * (1 + 1e-9)
    assert len(re.sub(r"^[0.]+|[^\d]", "", f"{float(text):.10e}".split("e")[0]).rstrip("0")) <= 3


@given(SIZES, WIDTHS)
def test_value_and_interval_share_their_digits(value: float, width: float) -> None:
    """Both ends are rounded like the value, so the value is never outside its own interval."""
    shown = figure(value, "tokens/s", value * (1 - min(width, 1.0) / 2), value * (1 + width / 2))
    assert " to " in shown.interval or "no spread" in shown.interval
    ends = [float(end.replace(",", "")) for end in shown.interval.removesuffix(", no spread").split(" to ")]
    middle = float(re.sub(r"[^\d.]", "", shown.value))
    assert min(ends) <= middle <= max(ends)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.85, "s", "850 ms"),
        (1.2345, "s", "1.23 s"),
        (0.00005, "s", "50.0 µs"),
        (0.0, "s", "0 ms"),
        (0.982, "fraction", "98.2 %"),
        (618_400.0, "USD/year", "$618,000/year"),
        (1_234_567.0, "USD/year", "$1.23 M/year"),
        (-3.5, "USD/Mtok", "-$3.50/Mtok"),
        (4_350.0, "tokens/s", "4,350 tokens/s"),
        (2_500_000.0, "tokens/s", "2.50 M tokens/s"),
    ],
)
def test_units_fit_the_size(value: float, unit: str, text: str) -> None:
    """Milliseconds below a second, percent for fractions, dollars in front."""
    assert quantity(value, unit) == text


def test_wide_interval_drops_digits() -> None:
    """1.2345 s known to 0.3 s is 1.2 s."""
    shown = figure(1.2345, "s", 0.9, 1.5)
    assert (shown.value, shown.interval) == ("1.2 s", "0.9 to 1.5")
    assert shown.text == "1.2 s [0.9 to 1.5]"


@given(SIZES, st.floats(min_value=0.0, max_value=1e3))
def test_two_digits_of_the_value_always_stay(value: float, width: float) -> None:
    """However wide the interval, the value is shown to within half a unit of its second digit."""
    shown = float(number(value, decimals_of(value, 0.0, value * (1 + width))).replace(",", ""))
    assert abs(shown - value) <= 0.05 * value * (1 + 1e-9)


def test_wide_interval_neither_erases_nor_reorders() -> None:
    """285.8 within 0 to 4,000 is no zero; 24.22 and 24.59 stay in order whatever their intervals."""
    assert figure(285.8, "USD", 0.0, 4000.0).text == "$290 [0 to 4,000]"
    assert (figure(24.22, "USD", 20.0, 28.0).value, figure(24.59, "USD", 0.0, 90.0).value) == ("$24", "$25")


@pytest.mark.parametrize(
    ("seconds", "text"), [(86_400.0, "86,400 s"), (604_800.0, "604,800 s"), (600.0, "600 s"), (0.25, "0.25 s")]
)
def test_time_spans_keep_all_digits(seconds: float, text: str) -> None:
    """No exponents."""
    assert duration(seconds) == text


def test_words_are_joined_as_in_speech() -> None:
    """One, two, and three."""
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_intervals_stay_where_figures_can_lie() -> None:
    """A share is never above 100 %, and nothing is below zero."""
    assert figure(0.9991, "fraction", 0.9973, 1.0009).interval == "99.73 to 100.00"
    assert figure(0.2, "", -0.3, 0.7).interval.startswith("0.00 to")


def test_missing_figure_says_why() -> None:
    """No value is printed without its reason."""
    shown = metric_figure(Metric("a", "ttft_p99_s", "s", None, note="too few samples"))
    assert shown.text == "n/a (too few samples)"
    assert figure(float("nan")).note


def test_one_sided_interval_is_open() -> None:
    """An interval without an upper end says so."""
    assert figure(2.0, "s", 1.5, None).interval == "1.5 or more"


def test_latency_inside_one_bin_is_as_uncertain_as_the_bin() -> None:
    """Replications that agree to a bin of the histogram are known to half a percent, not exactly."""
    assert metric_figure(Metric("a", "ttft_p95_s", "s", 575.0, 575.0, 575.0)).interval == "572 to 578"


def test_differences_carry_a_sign_and_amounts_every_dollar() -> None:
    """+$308,000/year and $618,400."""
    assert signed(308_000.0, "USD/year") == "+$308,000/year"
    assert signed(-5.0, "USD/year") == "-$5.00/year"
    assert whole(618_400.4, "USD") == "$618,400"
    assert whole(-19_392.0, "USD") == "-$19,392"
