"""The yearly ledger of buying the same tokens from an API."""

from __future__ import annotations

from sim.cost.api_price import ApiPrice
from sim.cost.ledger import Ledger, Line
from sim.cost.tokens import TokenRates, mtok_per_year


def api_ledger(price: ApiPrice, delivered: TokenRates) -> Ledger:
    """What the delivered tokens would have cost at this price, on the provider's four counters."""
    counts = price.billed(
        uncached_input=mtok_per_year(delivered.uncached_input_per_s),
        cached_input=mtok_per_year(delivered.cached_input_per_s),
        output=mtok_per_year(delivered.output_per_s),
    )
    names = ("uncached input", "cached input", "cache write", "output")
    prices = (price.input, price.cached_input or price.input, price.cache_write or price.input, price.output)
    lines = zip(names, price.amounts(counts), prices, strict=True)
    return Ledger(tuple(Line(name, "api", amount, (item,)) for name, amount, item in lines))
