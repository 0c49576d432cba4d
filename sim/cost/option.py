"""One way to get the tokens, with its ledger and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from sim.cost.inputs import Input
from sim.cost.ledger import Ledger
from sim.cost.tokens import TokenRates, effective_usd_per_mtok, usd_per_gpu_hour, usd_per_month
from sim.errors import IdentityError

NOTHING_DELIVERED = "no tokens were delivered, so a cost per token does not exist"


@dataclass(frozen=True, slots=True)
class CostOption:
    """Effective, reservation-based cost: everything paid for, over what was delivered within the service level.

    Attributes
    ----------
    option : `owned`, `reserved_1y`, `reserved_3y`, `on_demand`, or `api:PROVIDER`.
    ledger : lines of one year.
    usd_per_year : sum of the ledger.
    usd_per_gpu_hour : per GPU in service and hour, spares and staff included; None for an API.
    usd_per_mtok_output : per million output tokens; None when none was delivered.
    usd_per_mtok_total : per million tokens of output, uncached and cached input; None when none was delivered.
    assumed : keys of the assumed inputs that the cost depends on.
    reason : why a cost per token is None; empty when there is one.

    Raises
    ------
    IdentityError : the yearly cost is not the sum of its ledger.
    """

    option: str
    ledger: Ledger
    usd_per_year: float
    usd_per_gpu_hour: float | None
    usd_per_mtok_output: float | None
    usd_per_mtok_total: float | None
    assumed: tuple[str, ...]
    reason: str = ""

    def __post_init__(self) -> None:
        if not isclose(self.usd_per_year, self.ledger.usd_per_year, rel_tol=1e-12, abs_tol=1e-9):
            raise IdentityError(
                f"{self.option}: {self.usd_per_year} dollars a year are not the sum of the ledger, "
                f"{self.ledger.usd_per_year}"
            )

    @property
    def usd_per_month(self) -> float:
        """Cost of a month of 730 hours."""
        return usd_per_month(self.usd_per_year)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every number that the cost was computed from, each once."""
        return self.ledger.inputs


def cost_option(option: str, ledger: Ledger, delivered: TokenRates, gpus_in_service: int | None) -> CostOption:
    """The option that a ledger and delivered tokens make.

    Parameters
    ----------
    gpus_in_service : None for an API.
    """
    usd_per_year = ledger.usd_per_year
    per_output = effective_usd_per_mtok(usd_per_year, delivered.output_per_s)
    per_total = effective_usd_per_mtok(usd_per_year, delivered.total_per_s)
    return CostOption(
        option=option,
        ledger=ledger,
        usd_per_year=usd_per_year,
        usd_per_gpu_hour=None if gpus_in_service is None else usd_per_gpu_hour(usd_per_year, gpus_in_service),
        usd_per_mtok_output=per_output,
        usd_per_mtok_total=per_total,
        assumed=ledger.assumed,
        reason=NOTHING_DELIVERED if per_output is None or per_total is None else "",
    )
