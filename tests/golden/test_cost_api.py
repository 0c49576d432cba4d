"""Published golden numbers of API prices: per million output with input included, per request, per week."""

from __future__ import annotations

import datetime as dt

import pytest

from sim.catalog.tables import number, table
from sim.cost.api_price import TokenCounts
from sim.cost.price_book import api_price
from sim.errors import CatalogError

MIXES = ("mix_a", "mix_b", "mix_c", "mix_c2", "mix_d")
TABLE = [
    ("glm-5.2", "z-ai", (5.80, 15.60, 15.62, 28.80, 94.80)),
    ("glm-5.2", "deepinfra", (3.15, 8.40, 8.43, 15.50, 51.03)),
    ("claude-sonnet-5.5", None, (12.00, 26.00, 20.20, 39.00, 68.91)),
    ("gpt-6.1-sol", None, (12.00, 26.00, 20.20, 39.00, 68.91)),
    ("claude-opus-5.5", None, (24.00, 52.00, 40.40, 78.00, 137.82)),
    ("gpt-5.5", None, (35.00, 70.00, 58.50, 100.00, 232.25)),
    ("claude-fable-5.2", None, (48.00, 104.00, 75.40, 148.00, 219.35)),
    ("gpt-4o", None, (12.50, 30.00, 51.25, 85.00, 392.56)),
    ("claude-3.5-sonnet", None, (18.00, 39.00, 34.35, 64.50, 145.58)),
]


@pytest.mark.parametrize(("model", "provider", "usd"), TABLE)
def test_effective_price_of_five_mixes(model, provider, usd):
    """The API bill per million output tokens agrees with the published table in every mix, to the cent."""
    price = api_price(model, provider)
    for mix, expected in zip(MIXES, usd, strict=True):
        ratio, hit = number("prices", mix, "input_output_ratio"), number("prices", mix, "cache_hit_frac")
        assert price.effective_usd_per_mtok_output(ratio, hit) == pytest.approx(expected, abs=0.0051)


def test_effective_price_of_glm():
    """GLM-5.2 costs exactly 5.80, 15.60 and 15.62 in three mixes, and 94.80 to the cent in the fourth."""
    price = api_price("glm-5.2")
    for ratio, hit, usd in ((1, 0, 5.80), (8, 0, 15.60), (30, 0.9, 15.62)):
        assert price.effective_usd_per_mtok_output(ratio, hit) == pytest.approx(usd, rel=1e-12)
    assert price.effective_usd_per_mtok_output(293.74, 0.9581056) == pytest.approx(94.80, abs=0.005)


@pytest.mark.parametrize(("model", "usd"), [("glm-5.2", 0.0462), ("claude-opus-5.5", 0.1080)])
def test_request_with_cache_hits(model, usd):
    """100 k of input with 90 k cached and 2 k of output cost 4.62 cents at GLM-5.2, 10.80 at Opus 5.5."""
    price = api_price(model)
    counts = price.billed(uncached_input=10_000, cached_input=90_000, output=2_000)
    assert price.request_usd(counts) == pytest.approx(usd, rel=1e-12)


def test_long_prompts_pay_the_long_tier():
    """300 k of input and 2 k of output cost 1.23 at GPT-6.1 Sol; at the threshold itself the usual price holds."""
    price = api_price("gpt-6.1-sol")
    assert price.request_usd(TokenCounts(300_000, 0, 0, 2_000)) == pytest.approx(1.23, rel=1e-12)
    assert price.request_usd(TokenCounts(272_000, 0, 0, 2_000)) == pytest.approx(0.564, rel=1e-12)


def test_peak_hours_are_averaged_over_the_week():
    """DeepSeek-V4-Pro output costs 2.3925 per million on even traffic around the clock."""
    assert api_price("deepseek-v4-pro").output.value == pytest.approx(2.3925, rel=1e-12)


def test_announced_changes_count_from_their_day():
    """Gemini 4 Argon costs 2 / 0.10 / 10 until the end of November 2026 and doubles on the first of December."""
    before, after = (api_price("gemini-4-argon", on=dt.date(2026, *day)) for day in ((11, 30), (12, 1)))
    assert [item.value for item in before.inputs] == [2, 0.1, 10]
    assert [item.value for item in after.inputs] == [4, 0.2, 20]
    assert [item.value for item in api_price("gemini-4-argon").inputs] == [2, 0.1, 10]


def test_unknown_models_and_providers_are_named():
    """A name that is not in the book gives the names that are, and the nearest."""
    with pytest.raises(CatalogError, match=r"no model 'glm-5\.22'.*did you mean 'glm-5\.2'"):
        api_price("glm-5.22")
    with pytest.raises(CatalogError, match=r"no price of 'openai' for 'glm-5\.2'; it has z-ai, deepinfra"):
        api_price("glm-5.2", "openai")


@pytest.mark.parametrize("subject", [name for name in table("prices") if name.startswith("api/")])
def test_every_entry_of_the_book_can_be_read(subject):
    """Every entry names its weights and has prices that fall from output over input to cached input."""
    _, model, provider = subject.split("/")
    price = api_price(model, provider)
    assert price.output.value >= price.input.value > 0
    if price.cached_input is not None:
        assert price.cached_input.value < price.input.value
