"""The yearly ledger of nodes that are bought and stand in a colocation site.

The investment is spread over its economic life as an annuity, less the sinking fund of its resale value.
"""

from __future__ import annotations

from typing import Final

from sim.cost.annuity import capital_recovery_factor, sinking_fund_factor
from sim.cost.fleet import Fleet
from sim.cost.inputs import Input
from sim.cost.ledger import Ledger, Line
from sim.cost.parameters import CostParameters
from sim.cost.staff import staff_line, transit_line

_MONTHS_PER_YEAR: Final = 12


def hardware_usd(parameters: CostParameters, nodes: int) -> float:
    """Purchase of the nodes with their share of network and storage, before installation and tax.

    Raises
    ------
    CatalogError : no node price for this GPU.
    """
    price = parameters.need("node_price_usd").value
    return nodes * (price + parameters.node_network_usd.value + parameters.node_storage_usd.value)


def capex_usd(parameters: CostParameters, nodes: int) -> float:
    """Investment at the start: hardware, installation and tax.

    Raises
    ------
    CatalogError : no node price for this GPU.

    Checked: 693,000 for 2 nodes of H100 at base prices, 1,039,500 for 3.
    """
    return hardware_usd(parameters, nodes) * (1 + parameters.install_frac.value) * (1 + parameters.tax_frac.value)


def owned_ledger(parameters: CostParameters, fleet: Fleet) -> Ledger:
    """Yearly cost of owning the fleet, spares included.

    Raises
    ------
    CatalogError : no node price or no power rating for this GPU.

    Checked: 564,510.01 for 2 nodes of H100 at 6 kW with base prices.
    """
    p, hardware = parameters, _hardware_inputs(parameters)
    hardware_price = hardware_usd(p, fleet.paid_nodes)
    software = fleet.paid_gpus * p.gpu_software_usd_per_year.value
    return Ledger(
        (
            *_capital_lines(p, fleet),
            *_facility_lines(p, fleet),
            Line("support", "operations", hardware_price * p.support_frac.value, (*hardware, p.support_frac)),
            Line("insurance", "operations", hardware_price * p.insurance_frac.value, (*hardware, p.insurance_frac)),
            Line("software", "operations", software, (p.gpu_software_usd_per_year,)),
            transit_line(p),
            staff_line(p),
        )
    )


def _capital_lines(p: CostParameters, fleet: Fleet) -> tuple[Line, Line]:
    node_price = p.need("node_price_usd")
    terms = (p.discount_rate_frac.value, p.economic_life_years.value)
    term_inputs = (p.discount_rate_frac, p.economic_life_years)
    capital = capex_usd(p, fleet.paid_nodes) * capital_recovery_factor(*terms)
    resale = fleet.paid_nodes * node_price.value * p.residual_frac.value * sinking_fund_factor(*terms)
    capital_inputs = (*_hardware_inputs(p), p.install_frac, p.tax_frac, *term_inputs)
    return (
        Line("capital", "capital", capital, capital_inputs),
        Line("resale value", "capital", -resale, (node_price, p.residual_frac, *term_inputs)),
    )


def _facility_lines(p: CostParameters, fleet: Fleet) -> tuple[Line, Line]:
    rating = p.need("node_provisioned_kw")
    colo = fleet.paid_nodes * rating.value * p.colo_usd_per_kw_month.value * _MONTHS_PER_YEAR
    energy = fleet.kwh_per_year * p.pue.value * p.electricity_usd_per_kwh.value
    return (
        Line("colocation", "facility", colo, (rating, p.colo_usd_per_kw_month)),
        Line("energy", "facility", energy, (*fleet.power_inputs, p.pue, p.electricity_usd_per_kwh)),
    )


def _hardware_inputs(p: CostParameters) -> tuple[Input, ...]:
    return (p.need("node_price_usd"), p.node_network_usd, p.node_storage_usd)
