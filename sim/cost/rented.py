"""The yearly ledger of GPUs that are rented: reserved and paid around the clock, or by the hour."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from sim.cost.fleet import Fleet
from sim.cost.ledger import Ledger, Line
from sim.cost.parameters import CostParameters
from sim.cost.staff import staff_line, transit_line
from sim.units import YEAR_H

Rental = Literal["reserved_1y", "reserved_3y", "on_demand"]

RATES: Final[Mapping[Rental, str]] = MappingProxyType(
    {
        "reserved_1y": "gpu_reserved_1y_usd_per_h",
        "reserved_3y": "gpu_reserved_3y_usd_per_h",
        "on_demand": "gpu_on_demand_usd_per_h",
    }
)
"""Which rate each kind of rental pays."""


def rented_ledger(parameters: CostParameters, fleet: Fleet, rental: Rental) -> Ledger:
    """Yearly cost of renting the fleet, spares included. Energy is in the rent.

    Raises
    ------
    CatalogError : no such rate for this GPU.

    Checked: 618,400 for 16 GPUs at 2.50 per hour without cloud adder, with one FTE and transit.
    """
    rate, adder = parameters.need(RATES[rental]), parameters.cloud_adder_frac
    gpus = fleet.hourly_gpus if rental == "on_demand" else fleet.paid_gpus
    rent = gpus * YEAR_H * rate.value
    return Ledger(
        (
            Line("rent", "rental", rent, (rate,)),
            Line("cloud adder", "rental", rent * adder.value, (rate, adder)),
            transit_line(parameters),
            staff_line(parameters),
        )
    )
