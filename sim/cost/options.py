"""Every way to get the same tokens from the same fleet, priced side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from sim.cost.api_ledger import api_ledger
from sim.cost.fleet import Fleet
from sim.cost.option import CostOption, cost_option
from sim.cost.owned import owned_ledger
from sim.cost.parameters import CostParameters
from sim.cost.price_book import api_price, providers
from sim.cost.rented import RATES, rented_ledger
from sim.cost.tokens import TokenRates

OptionName = Literal["owned", "reserved_1y", "reserved_3y", "on_demand"]
OPTIONS: Final[tuple[OptionName, ...]] = ("owned", "reserved_1y", "reserved_3y", "on_demand")


def options(
    parameters: CostParameters,
    fleet: Fleet,
    delivered: TokenRates,
    *,
    wanted: Sequence[OptionName] = OPTIONS,
    model: str | None = None,
    api_provider: str | None = None,
) -> tuple[CostOption, ...]:
    """The options in the order wanted, and the same volume at an API that sells the same weights, if there is one.

    Every option pays for the same fleet with its spares, around the clock; the API is paid for what was delivered.

    Parameters
    ----------
    delivered : tokens within the service level by the whole fleet.
    model : the served model, looked up in the price book; None or a model without a price gives no API option.
    api_provider : whose price; the first of the book when not given.

    Raises
    ------
    CatalogError : an option needs a price that the catalog lacks for this GPU, or the provider does not sell the model.
    """
    priced = [_priced(name, parameters, fleet, delivered) for name in wanted]
    if model is not None and (api_provider is not None or providers(model)):
        price = api_price(model, api_provider)
        priced.append(cost_option(f"api:{price.provider}", api_ledger(price, delivered), delivered, None))
    return tuple(priced)


def priceable(parameters: CostParameters) -> tuple[OptionName, ...]:
    """Options for which all prices are known, in the usual order."""
    return tuple(name for name in OPTIONS if all(getattr(parameters, row) is not None for row in _needed(name)))


def _needed(name: OptionName) -> tuple[str, ...]:
    return ("node_price_usd", "node_provisioned_kw") if name == "owned" else (RATES[name],)


def _priced(name: OptionName, parameters: CostParameters, fleet: Fleet, delivered: TokenRates) -> CostOption:
    ledger = owned_ledger(parameters, fleet) if name == "owned" else rented_ledger(parameters, fleet, name)
    return cost_option(name, ledger, delivered, fleet.gpus_in_service)
