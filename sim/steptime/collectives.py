"""Collectives among the GPUs of a tensor-parallel or expert group: all-reduce, all-gather, reduce-scatter.

In a node they follow fitted forms. Across nodes no measurement exists, and a hierarchical form is assumed: the
collective runs inside each node, and each GPU exchanges its share over its own NIC. That term is a row of the catalog
with status `assumed`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.steptime.gemm import norm_sum
from sim.steptime.hardware import Hardware
from sim.steptime.kernels import Kernel
from sim.steptime.operation import Cost
from sim.units import GB, MICROSECOND


@dataclass(frozen=True, slots=True)
class AllReduce:
    """All-reduce of BF16 hidden states over `gpus` GPUs.

    In a node: min(a1 + (n-1) M / b1, a2 + 2 (n-1)/n M / b2): one-shot or two-shot. Across nodes: NCCL in the node, plus
    a ring over the NICs for the M / (GPUs per node) bytes that each GPU owns.

    Checked: median error 8.0 % (SGLang), 5.3 % (vLLM), 6.3 % (TensorRT-LLM) on 2 to 8 H100 of one node.
    """

    kernel: Kernel
    nccl: Kernel
    inter_node: Kernel
    hardware: Hardware
    gpus: int
    hidden_size: int

    def cost(self, tokens: int) -> Cost:
        """Cost of reducing the hidden states of `tokens` tokens."""
        message = 2.0 * tokens * self.hidden_size
        local = min(self.gpus, self.hardware.gpus_per_node)
        nodes = -(-self.gpus // local)
        if nodes == 1:
            seconds = self._in_node(message, local)
        else:
            seconds = nccl_seconds(self.nccl, self.hardware, local, message) if local > 1 else 0.0
            seconds += inter_node_seconds(self.inter_node, self.hardware, nodes, 2.0 * message / local)
        return Cost(seconds, 0.0, 0.0, 2.0 * message * (self.gpus - 1) / self.gpus, "network")

    def _in_node(self, message: float, gpus: int) -> float:
        k = self.kernel
        scale = self.hardware.nvlink_gb_per_s / k["reference_nvlink_gb_per_s"] * GB
        one = k["one_shot_us"] * MICROSECOND + (gpus - 1) * message / (k["one_shot_gb_per_s"] * scale)
        two = k["two_shot_us"] * MICROSECOND + 2 * (gpus - 1) / gpus * message / (k["two_shot_gb_per_s"] * scale)
        return min(one, two)


@dataclass(frozen=True, slots=True)
class GatherScatter:
    """All-gather of the hidden states of all ranks, or the reduce-scatter that undoes it.

    What data-parallel attention needs around experts that are sliced rather than spread. Ranks pad to the largest.
    """

    kernel: Kernel
    inter_node: Kernel
    hardware: Hardware
    gpus: int
    ranks: int
    hidden_size: int

    def cost(self, tokens: int) -> Cost:
        """Cost by tokens of the busiest rank."""
        message = 2.0 * tokens * self.ranks * self.hidden_size
        local = min(self.gpus, self.hardware.gpus_per_node)
        nodes = -(-self.gpus // local)
        seconds = nccl_seconds(self.kernel, self.hardware, local, message) if local > 1 else 0.0
        if nodes > 1:
            seconds += inter_node_seconds(self.inter_node, self.hardware, nodes, message / local)
        return Cost(seconds, 0.0, 0.0, message * (self.gpus - 1) / self.gpus, "network")


@dataclass(frozen=True, slots=True)
class GroupExchange:
    """All-gather or reduce-scatter in a group of `members` GPUs of which neighbours are `stride` ranks apart.

    In a node NCCL's fitted form for the whole message; between nodes each GPU moves its share over its own NIC.
    """

    kernel: Kernel
    inter_node: Kernel
    hardware: Hardware
    members: int
    stride: int = 1

    def seconds(self, message_bytes: float) -> float:
        """Seconds for a message of the whole group; zero for none."""
        if message_bytes <= 0.0 or self.members == 1:
            return 0.0
        local = max(1, min(self.members, self.hardware.gpus_per_node // self.stride))
        nodes = -(-self.members // local)
        seconds = nccl_seconds(self.kernel, self.hardware, local, message_bytes) if local > 1 else 0.0
        if nodes > 1:
            seconds += inter_node_seconds(self.inter_node, self.hardware, nodes, message_bytes / local)
        return seconds

    def network_bytes(self, message_bytes: float) -> float:
        """What one GPU receives."""
        return message_bytes * (self.members - 1) / self.members


def nccl_seconds(kernel: Kernel, hardware: Hardware, gpus: int, message_bytes: float) -> float:
    """((a0 + a1 n)^p + (f (n-1)/n M / bus)^p)^(1/p) in one node; median error 5 to 9 % (all-to-all 14 %)."""
    bus = kernel["bus_gb_per_s"] * GB * hardware.nvlink_gb_per_s / kernel["reference_nvlink_gb_per_s"]
    launch_s = (kernel["t0_us"] + kernel["us_per_gpu"] * gpus) * MICROSECOND
    transfer_s = kernel["traffic_factor"] * (gpus - 1) / gpus * message_bytes / bus
    return norm_sum(kernel["norm_power"], launch_s, transfer_s)


def inter_node_seconds(kernel: Kernel, hardware: Hardware, nodes: int, nic_bytes: float) -> float:
    """Ring over `nodes` nodes in which each NIC would carry `nic_bytes` in the limit of many nodes. Assumed."""
    bandwidth = hardware.network_gb_per_s * GB * kernel["network_efficiency"]
    return kernel["t0_us"] * MICROSECOND + nic_bytes * (nodes - 1) / nodes / bandwidth
