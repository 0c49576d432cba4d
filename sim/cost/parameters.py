"""Prices and terms of one GPU type: the catalog's, with those that the user gave in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Final

from sim.catalog.tables import fact, table
from sim.cost.inputs import PRICES, Input, catalog_input
from sim.errors import CatalogError, ScenarioError, nearest

BY_GPU: Final[Mapping[str, str]] = {
    "node_price_usd": "USD",
    "node_provisioned_kw": "kW",
    "gpu_reserved_1y_usd_per_h": "USD per GPU-hour",
    "gpu_reserved_3y_usd_per_h": "USD per GPU-hour",
    "gpu_on_demand_usd_per_h": "USD per GPU-hour",
}
"""Inputs that depend on the GPU, with their units; their rows may be missing."""

SUBJECTS: Final[Mapping[str, str]] = {
    "node_network_usd": "ownership",
    "node_storage_usd": "ownership",
    "install_frac": "ownership",
    "tax_frac": "ownership",
    "economic_life_years": "ownership",
    "residual_frac": "ownership",
    "discount_rate_frac": "finance",
    "colo_usd_per_kw_month": "facility",
    "pue": "facility",
    "electricity_usd_per_kwh": "facility",
    "support_frac": "operations",
    "insurance_frac": "operations",
    "transit_usd_per_year": "operations",
    "gpu_software_usd_per_year": "operations",
    "staff_fte": "operations",
    "fte_cost_usd_per_year": "operations",
    "cloud_adder_frac": "cloud",
}
"""Subject of the price table that holds each of the other inputs."""

NOT_PRICES: Final = ("options", "api_provider")
"""Keys of the scenario's `pricing` section that choose what is priced."""


@dataclass(frozen=True, slots=True)
class CostParameters:
    """What the ledgers of one GPU type are computed from.

    Attributes
    ----------
    gpu : name in the catalog.
    node_price_usd .. gpu_on_demand_usd_per_h : inputs of `BY_GPU`; None where the catalog has no row for this GPU.
    node_network_usd .. cloud_adder_frac : inputs of `SUBJECTS`.
    """

    gpu: str
    node_price_usd: Input | None
    node_provisioned_kw: Input | None
    gpu_reserved_1y_usd_per_h: Input | None
    gpu_reserved_3y_usd_per_h: Input | None
    gpu_on_demand_usd_per_h: Input | None
    node_network_usd: Input
    node_storage_usd: Input
    install_frac: Input
    tax_frac: Input
    economic_life_years: Input
    residual_frac: Input
    discount_rate_frac: Input
    colo_usd_per_kw_month: Input
    pue: Input
    electricity_usd_per_kwh: Input
    support_frac: Input
    insurance_frac: Input
    transit_usd_per_year: Input
    gpu_software_usd_per_year: Input
    staff_fte: Input
    fte_cost_usd_per_year: Input
    cloud_adder_frac: Input

    def need(self, name: str) -> Input:
        """The input of that name.

        Raises
        ------
        CatalogError : the catalog has no row for this GPU, and the user gave none.
        """
        item = getattr(self, name)
        if isinstance(item, Input):
            return item
        priced = [gpu for gpu in table("gpus") if _row(name, gpu, None) is not None]
        raise CatalogError(
            f"the catalog has no {name} for {self.gpu!r}; give pricing.{name}, or use one of {', '.join(priced)}"
        )


def parameters(overrides: Mapping[str, object], gpu: str, node: str | None = None) -> CostParameters:
    """Cost parameters of one GPU type.

    Parameters
    ----------
    overrides : a number replaces the catalog's, None keeps it; the dump of a scenario's `pricing` section.
    gpu : name of the GPU in the catalog. A GPU without prices is no error here, only where a price is needed.
    node : node type of the catalog, for its power rating; the first one with this GPU when not given.

    Raises
    ------
    CatalogError : unknown node type.
    ScenarioError : an unknown key, or a value that is not a finite number of at least zero.
    """
    names = [item.name for item in fields(CostParameters) if item.name != "gpu"]
    for key in overrides:
        if key not in names and key not in NOT_PRICES:
            raise ScenarioError("unknown key", key=f"pricing.{key}", nearest=nearest(key, names))
    inputs: dict[str, Any] = {name: _input(name, overrides.get(name), gpu, node) for name in names}
    return CostParameters(gpu=gpu, **inputs)


def _input(name: str, given: object, gpu: str, node: str | None) -> Input | None:
    if given is None:
        row = _row(name, gpu, node)
        return None if row is None else catalog_input(*row)
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < inf:
        raise ScenarioError("out of range", key=f"pricing.{name}", value=given, valid="at least 0, finite")
    unit = BY_GPU[name] if name in BY_GPU else fact(PRICES, SUBJECTS[name], name).unit
    return Input(f"pricing.{name}", float(given), unit)


def _row(name: str, gpu: str, node: str | None) -> tuple[str, str, str] | None:
    """Subject, parameter and table of an input; None where this GPU has no row."""
    if name in SUBJECTS:
        return SUBJECTS[name], name, PRICES
    if name == "node_provisioned_kw":
        nodes = (subject for subject, rows in table("nodes").items() if "gpu" in rows and rows["gpu"].value == gpu)
        chosen = node or next(nodes, None)
        return None if chosen is None else (chosen, "provisioned_kw", "nodes")
    return (gpu, name, PRICES) if name in table(PRICES).get(gpu, {}) else None
