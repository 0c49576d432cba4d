"""What capacity costs: which options to price, and prices that replace those of the catalog."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from sim.scenario.section import Fraction, Section

Option = Literal["owned", "reserved_1y", "reserved_3y", "on_demand"]
HourlyRate = Annotated[float, Field(strict=True, ge=0.0, le=1000.0)]
HardwarePrice = Annotated[float, Field(strict=True, ge=0.0, le=1e7)]
YearlyPrice = Annotated[float, Field(strict=True, ge=0.0, le=1e8)]


class Pricing(Section):
    """Options and prices. A price that is not given is the catalog's (`sim catalog prices`)."""

    options: Annotated[tuple[Option, ...], Field(min_length=1)] = ("owned", "reserved_1y", "reserved_3y", "on_demand")
    """Ways to get the GPUs that are priced for the same simulated fleet, in the order of the report."""
    api_provider: Annotated[str, Field(min_length=1)] | None = None
    """Provider whose price for the same weights is shown beside; the first of the price book when not given."""

    gpu_reserved_1y_usd_per_h: HourlyRate | None = None
    """Rent of one GPU reserved for a year."""
    gpu_reserved_3y_usd_per_h: HourlyRate | None = None
    """Rent of one GPU reserved for three years."""
    gpu_on_demand_usd_per_h: HourlyRate | None = None
    """Rent of one GPU by the hour."""
    cloud_adder_frac: Annotated[float, Field(strict=True, ge=0.0, le=5.0)] | None = None
    """Egress, storage and support on top of the rent of GPUs."""

    node_price_usd: HardwarePrice | None = None
    """Purchase of one node with its GPUs and NICs."""
    node_network_usd: HardwarePrice | None = None
    """Share of one node in switches and cables."""
    node_storage_usd: HardwarePrice | None = None
    """Share of one node in storage and management."""
    install_frac: Fraction | None = None
    """Installation, freight and spare parts, as a fraction of the hardware."""
    tax_frac: Fraction | None = None
    """Sales tax on the investment."""
    economic_life_years: Annotated[float, Field(strict=True, ge=0.5, le=20.0)] | None = None
    """Years over which the hardware pays itself back."""
    residual_frac: Fraction | None = None
    """Resale value at the end of the economic life, as a fraction of the node price."""
    discount_rate_frac: Fraction | None = None
    """Cost of capital per year."""

    colo_usd_per_kw_month: Annotated[float, Field(strict=True, ge=0.0, le=10_000.0)] | None = None
    """Colocation by provisioned power, electricity metered apart."""
    node_provisioned_kw: Annotated[float, Field(strict=True, ge=0.0, le=500.0)] | None = None
    """Power that the colocation contract provides for one node."""
    pue: Annotated[float, Field(strict=True, ge=1.0, le=5.0)] | None = None
    """Power of the site over power of its machines."""
    electricity_usd_per_kwh: Annotated[float, Field(strict=True, ge=0.0, le=10.0)] | None = None
    """Price of electricity."""

    support_frac: Fraction | None = None
    """Hardware support per year, as a fraction of the hardware."""
    insurance_frac: Fraction | None = None
    """Insurance per year, as a fraction of the hardware."""
    transit_usd_per_year: YearlyPrice | None = None
    """Internet transit of the site."""
    gpu_software_usd_per_year: Annotated[float, Field(strict=True, ge=0.0, le=1e6)] | None = None
    """Licences per GPU."""
    staff_fte: Annotated[float, Field(strict=True, ge=0.0, le=1000.0)] | None = None
    """People who run the site, in full-time equivalents."""
    fte_cost_usd_per_year: Annotated[float, Field(strict=True, ge=0.0, le=1e7)] | None = None
    """Loaded cost of one full-time equivalent."""

    @field_validator("options")
    @classmethod
    def _each_once(cls, options: tuple[Option, ...]) -> tuple[Option, ...]:
        if len(set(options)) < len(options):
            raise ValueError("each option stands once")
        return options
