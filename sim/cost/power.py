"""Power of a node from what its GPUs do: a base plus the GPUs, idle, decoding or saturated for shares of the time.

P_node = base + gpus x P_gpu. Checked: 3.46 kW with idle GPUs of 120 W, 6.10 kW decoding at 450 W, 8.10 kW at 700 W, on
8 GPUs; the measured maximum of an 8xH100 node is 8.4 kW (Latif et al., IEEE Access 13, 2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isclose

from sim.catalog.tables import number
from sim.cost.inputs import Input, catalog_input
from sim.errors import ScenarioError


@dataclass(frozen=True, slots=True)
class TimeShares:
    """How a node spends its time; the shares add up to 1.

    Attributes
    ----------
    idle_frac : up, with no request in service.
    decode_frac : decoding only.
    max_frac : prefilling, or saturated otherwise.
    down_frac : out of service; draws nothing.

    Raises
    ------
    ScenarioError : a share is outside 0 to 1, or they do not add up to 1.
    """

    idle_frac: float
    decode_frac: float
    max_frac: float
    down_frac: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.idle_frac, self.decode_frac, self.max_frac, self.down_frac)
        if not all(0 <= share <= 1 for share in shares) or not isclose(sum(shares), 1.0, abs_tol=1e-9):
            raise ScenarioError("shares of time do not add up", value=shares, valid="each 0 to 1, together 1")


@dataclass(frozen=True, slots=True)
class PowerModel:
    """Power of one node, before PUE.

    Attributes
    ----------
    gpus_per_node : GPUs of the node.
    node_base_kw : everything but the GPUs.
    gpu_idle_kw, gpu_decode_kw, gpu_max_kw : one GPU idle with its context loaded, decoding, saturated.
    inputs : where the numbers come from.

    Raises
    ------
    ScenarioError : a number is out of range, or the powers of the GPU are not in ascending order.
    """

    gpus_per_node: int
    node_base_kw: float
    gpu_idle_kw: float
    gpu_decode_kw: float
    gpu_max_kw: float
    inputs: tuple[Input, ...] = ()

    def __post_init__(self) -> None:
        if self.gpus_per_node < 1:
            raise ScenarioError("out of range", key="gpus_per_node", value=self.gpus_per_node, valid="at least 1")
        if not 0 <= self.node_base_kw < inf:
            raise ScenarioError("out of range", key="node_base_kw", value=self.node_base_kw, valid="at least 0, finite")
        gpu = (self.gpu_idle_kw, self.gpu_decode_kw, self.gpu_max_kw)
        if not 0 <= gpu[0] <= gpu[1] <= gpu[2] < inf:
            raise ScenarioError("powers of a GPU are out of order", value=gpu, valid="0 <= idle <= decode <= max")

    def node_kw(self, gpu_kw: float) -> float:
        """Power of the node while each of its GPUs draws `gpu_kw`."""
        return self.node_base_kw + self.gpus_per_node * gpu_kw

    @property
    def idle_node_kw(self) -> float:
        """Power of a node whose GPUs are idle, as of a hot spare."""
        return self.node_kw(self.gpu_idle_kw)

    def average_node_kw(self, shares: TimeShares) -> float:
        """Mean power of a node that spends its time so."""
        return (
            shares.idle_frac * self.node_kw(self.gpu_idle_kw)
            + shares.decode_frac * self.node_kw(self.gpu_decode_kw)
            + shares.max_frac * self.node_kw(self.gpu_max_kw)
        )


def power_model(gpu: str, node: str) -> PowerModel:
    """The power model of a node type of the catalog with its GPUs.

    Raises
    ------
    CatalogError : unknown GPU or node, or a row is missing.
    """
    inputs = (
        catalog_input(node, "base_power_kw", "nodes"),
        *(catalog_input(gpu, f"power_{state}_kw", "gpus") for state in ("context_idle", "decode", "max")),
    )
    base, idle, decode, saturated = (item.value for item in inputs)
    return PowerModel(int(number("nodes", node, "gpus_per_node")), base, idle, decode, saturated, inputs)
