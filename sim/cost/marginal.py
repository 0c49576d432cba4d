"""The marginal cost of a token: what one more costs when the capacity is there anyway.

It is for dispatch only (whether to send a request here or to an API), never for buying: it is some per cent of the
effective cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.cost.parameters import CostParameters
from sim.errors import ScenarioError
from sim.units import HOUR_S, MILLION


@dataclass(frozen=True, slots=True)
class MarginalCost:
    """A marginal cost, labelled so that it is not taken for an effective one.

    Attributes
    ----------
    usd_per_mtok_output : dollars per million output tokens more.
    basis : what it counts.
    """

    usd_per_mtok_output: float
    basis: Literal["marginal: energy above idle"]


def energy_marginal_cost(
    parameters: CostParameters, *, busy_kw: float, idle_kw: float, output_tokens_per_s: float
) -> MarginalCost:
    """Energy of one more token: the power above idle, per token at the rate that it goes with.

    Parameters
    ----------
    busy_kw, idle_kw : power of the nodes while they serve `output_tokens_per_s`, and while they serve nothing.

    Raises
    ------
    ScenarioError : no tokens, or busy nodes that draw less than idle ones.
    """
    if not output_tokens_per_s > 0:
        raise ScenarioError(
            "the marginal cost of a token needs some tokens", key="output_tokens_per_s", value=output_tokens_per_s
        )
    if busy_kw < idle_kw:
        raise ScenarioError(
            "busy nodes draw less than idle ones", key="busy_kw", value=busy_kw, valid=f">= {idle_kw:g}"
        )
    usd_per_h = (busy_kw - idle_kw) * parameters.pue.value * parameters.electricity_usd_per_kwh.value
    return MarginalCost(usd_per_h / (output_tokens_per_s * HOUR_S / MILLION), "marginal: energy above idle")
