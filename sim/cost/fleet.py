"""The fleet that is paid for, and what it draws."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from sim.cost.inputs import Input
from sim.errors import ScenarioError
from sim.units import YEAR_H


@dataclass(frozen=True, slots=True)
class Fleet:
    """Whole nodes: those in service and those that stand by.

    Attributes
    ----------
    nodes : nodes in service.
    spare_nodes : nodes bought or rented beyond those.
    gpus_per_node : GPUs of each node.
    node_average_kw : mean power of one node in service, before PUE.
    spare_node_average_kw : mean power of one spare node, before PUE.
    billed_frac : share of the time for which a node in service is paid where nodes are rented by the hour and given
        back; reserved and owned nodes are paid around the clock.
    power_inputs : numbers of the catalog that the mean power was computed from.

    Raises
    ------
    ScenarioError : no node in service, a negative or fractional count, or a power that is negative or not finite.
    """

    nodes: int
    gpus_per_node: int
    node_average_kw: float
    spare_nodes: int = 0
    spare_node_average_kw: float = 0.0
    power_inputs: tuple[Input, ...] = ()
    billed_frac: float = 1.0

    def __post_init__(self) -> None:
        for key, lowest in (("nodes", 1), ("gpus_per_node", 1), ("spare_nodes", 0)):
            count = getattr(self, key)
            if count != int(count) or count < lowest:
                raise ScenarioError("out of range", key=key, value=count, valid=f"a whole number of at least {lowest}")
        for key in ("node_average_kw", "spare_node_average_kw"):
            if not 0 <= getattr(self, key) < inf:
                raise ScenarioError("out of range", key=key, value=getattr(self, key), valid="at least 0, finite")
        if not 0.0 <= self.billed_frac <= 1.0:
            raise ScenarioError("out of range", key="billed_frac", value=self.billed_frac, valid="0 to 1")

    @property
    def paid_nodes(self) -> int:
        """Nodes bought or rented."""
        return self.nodes + self.spare_nodes

    @property
    def paid_gpus(self) -> int:
        """GPUs bought or rented."""
        return self.paid_nodes * self.gpus_per_node

    @property
    def hourly_gpus(self) -> float:
        """Mean number of GPUs that are paid by the hour."""
        return (self.nodes * self.billed_frac + self.spare_nodes) * self.gpus_per_node

    @property
    def gpus_in_service(self) -> int:
        """GPUs of the nodes in service."""
        return self.nodes * self.gpus_per_node

    @property
    def kw(self) -> float:
        """Mean power of all nodes, before PUE."""
        return self.nodes * self.node_average_kw + self.spare_nodes * self.spare_node_average_kw

    @property
    def kwh_per_year(self) -> float:
        """Energy of all nodes in a year, before PUE."""
        return self.kw * YEAR_H
