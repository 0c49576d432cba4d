"""The dated API price book: subjects `api/MODEL/PROVIDER` of the price table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final, Literal, cast, get_args

from sim.catalog.tables import Fact, table
from sim.cost.api_price import ApiPrice, LongTier, Weights
from sim.cost.inputs import PRICES, Input, catalog_input
from sim.cost.peak_hours import week_share
from sim.errors import CatalogError, nearest

_PREFIX: Final = "api"
Comparator = Literal["same weights", "open substitute", "closed", "unverified substitute"]


def models() -> tuple[str, ...]:
    """Models that have a price, each once, in the order of the book."""
    return tuple(dict.fromkeys(model for model, _ in _entries()))


def providers(model: str) -> tuple[str, ...]:
    """Providers that sell a model, in the order of the book; the first is its maker where the maker sells it."""
    return tuple(provider for name, provider in _entries() if name == model)


def api_price(model: str, provider: str | None = None, *, on: dt.date | None = None) -> ApiPrice:
    """Price of a model.

    Where a provider has peak hours, prices are means over a week of even traffic.

    Parameters
    ----------
    provider : the first in the book when not given.
    on : day of use; a change that the provider has announced counts from its day. Without it, the price of the book.

    Raises
    ------
    CatalogError : the model or the provider is not in the book.

    Checked: 2.3925 per million output tokens of DeepSeek-V4-Pro over a week.
    """
    sellers = providers(model)
    if not sellers:
        close = nearest(model, models())
        hint = f"; did you mean {close!r}?" if close else ""
        raise CatalogError(f"the API price book has no model {model!r}; it has {', '.join(models())}{hint}")
    if provider is not None and provider not in sellers:
        raise CatalogError(
            f"the API price book has no price of {provider!r} for {model!r}; it has {', '.join(sellers)}"
        )
    seller = provider or sellers[0]
    subject = f"{_PREFIX}/{model}/{seller}"
    facts = table(PRICES)[subject]
    changed = on is not None and "next_from" in facts and on >= dt.date.fromisoformat(str(facts["next_from"].value))
    prefix = "next_" if changed else ""
    return ApiPrice(
        model=model,
        provider=seller,
        weights=_weights(subject, facts),
        input=_price(subject, facts, prefix, "input"),
        output=_price(subject, facts, prefix, "output"),
        cached_input=_price_or_none(subject, facts, prefix, "cached_input"),
        cache_write=_price_or_none(subject, facts, prefix, "cache_write"),
        long_tier=_long_tier(subject, facts),
    )


def comparator(price: ApiPrice, served_model: str) -> Comparator:
    """Which class of comparator a price is for a model that is served on own capacity."""
    if price.model == served_model:
        return "same weights"
    classes: dict[Weights, Comparator] = {"open": "open substitute", "closed": "closed"}
    return classes.get(price.weights, "unverified substitute")


def _entries() -> list[tuple[str, str]]:
    parts = (subject.split("/") for subject in table(PRICES) if subject.startswith(f"{_PREFIX}/"))
    return [(model, provider) for _, model, provider in parts]


def _weights(subject: str, facts: Mapping[str, Fact]) -> Weights:
    word = facts["weights"].value
    if word not in get_args(Weights):
        raise CatalogError(f"{PRICES}: {subject}.weights is {word!r}; valid: {', '.join(get_args(Weights))}")
    return cast("Weights", word)


def _price(subject: str, facts: Mapping[str, Fact], prefix: str, what: str) -> Input:
    usual = catalog_input(subject, f"{prefix}{what}_usd_per_mtok")
    peak_name = f"peak_{what}_usd_per_mtok"
    if peak_name not in facts:
        return usual
    peak = catalog_input(subject, peak_name)
    share = week_share(str(facts["peak_hours_utc"].value), str(facts["peak_days"].value))
    return Input(usual.key, usual.value + share * (peak.value - usual.value), usual.unit, usual.fact)


def _price_or_none(subject: str, facts: Mapping[str, Fact], prefix: str, what: str) -> Input | None:
    return _price(subject, facts, prefix, what) if f"{prefix}{what}_usd_per_mtok" in facts else None


def _long_tier(subject: str, facts: Mapping[str, Fact]) -> LongTier | None:
    if "long_prompt_tokens" not in facts:
        return None
    names = ("long_prompt_tokens", "long_input_multiplier", "long_output_multiplier")
    return LongTier(*(catalog_input(subject, name).value for name in names))
