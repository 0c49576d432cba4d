"""Lines that owners and tenants pay alike: the people and the internet transit of one site."""

from __future__ import annotations

from sim.cost.ledger import Line
from sim.cost.parameters import CostParameters


def staff_line(parameters: CostParameters) -> Line:
    """The people who run the site."""
    fte, cost = parameters.staff_fte, parameters.fte_cost_usd_per_year
    return Line("staff", "staff", fte.value * cost.value, (fte, cost))


def transit_line(parameters: CostParameters) -> Line:
    """Internet transit of the site."""
    transit = parameters.transit_usd_per_year
    return Line("transit", "operations", transit.value, (transit,))
