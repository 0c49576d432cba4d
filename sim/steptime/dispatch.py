"""Dispatch of tokens to expert-parallel GPUs, and the combine that brings results back (DeepEP)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log2

from sim.steptime.hardware import Hardware
from sim.steptime.kernels import Kernel
from sim.steptime.operation import Cost
from sim.units import GB, MICROSECOND


@dataclass(frozen=True, slots=True)
class LowLatency:
    """Low-latency mode: every token goes to each of its experts' GPUs directly; used for decode.

    One node: a1 + bytes / b_nv. n nodes: a2 + an log2 n + bytes (1-r) / b_nv + bytes r / b_net with r = 1 - 1/n and
    bytes = N K h x (1.03 dispatch FP8, 2 combine BF16) for N tokens per GPU.

    These are bytes of the GPU whose experts get most tokens: it receives them all over its own link, and sends their
    results back over it. The tables behind the fit route at random, where every GPU gets the mean.

    Attributes
    ----------
    token_share : GPUs that divide the tokens of an attention rank.
    over_mean : token-expert pairs of that GPU over the mean, by tokens of the busiest rank.

    Checked: median error 3.0 % (dispatch) and 2.3 % (combine) on 1 to 8 nodes of H100, hidden 7168; 15 % low and 7 %
    high at hidden 6144 in one node, which the fit never saw. DeepSeek-V3 decoding on 72 H100 (SGLang's large-EP
    report, 256 sequences per GPU): throughput -1 % with the hottest GPU, +29 % with the mean.
    """

    kernel: Kernel
    hardware: Hardware
    nodes: int
    num_experts_per_token: int
    hidden_size: int
    token_share: int
    over_mean: Callable[[int], float]

    def cost(self, tokens: int) -> Cost:
        """Cost by tokens of the busiest rank, which its `token_share` GPUs divide."""
        k, hardware = self.kernel, self.hardware
        gpu_tokens = -(-tokens // self.token_share)
        pairs = gpu_tokens * self.num_experts_per_token * self.over_mean(tokens)
        size = pairs * self.hidden_size * k["bytes_per_value"]
        nvlink = k["nvlink_gb_per_s"] * GB * hardware.nvlink_gb_per_s / k["reference_nvlink_gb_per_s"]
        if self.nodes == 1:
            launch_s, transfer_s = k["one_node_us"] * MICROSECOND, size / nvlink
        else:
            remote = 1.0 - 1.0 / self.nodes
            network = k["network_gb_per_s"] * GB * hardware.network_gb_per_s / k["reference_network_gb_per_s"]
            launch_s = (k["many_nodes_us"] + k["us_per_log2_nodes"] * log2(self.nodes)) * MICROSECOND
            transfer_s = size * (1.0 - remote) / nvlink + size * remote / network
        return Cost(launch_s + transfer_s, 0.0, 0.0, size, "launch" if launch_s > transfer_s else "network")


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal (high-throughput) mode: a token crosses the network once per node; used for prefill.

    t = alpha(n) + c(n) N, measured for 1, 2 and 4 nodes and interpolated between. Beyond 4 nodes c grows with the other
    nodes that a token is expected to reach, because the measured 8-node row is suspect. Nodes get about the same,
    however uneven their GPUs: a token reaches nearly all of 4.

    Checked: median error 5 to 10 %, hidden 7168.
    """

    kernel: Kernel
    hardware: Hardware
    nodes: int
    num_experts_per_token: int
    hidden_size: int
    token_share: int
    bytes_per_value: float

    def cost(self, tokens: int) -> Cost:
        """Cost by tokens of the busiest rank, which its `token_share` GPUs divide."""
        k, hardware = self.kernel, self.hardware
        gpu_tokens = -(-tokens // self.token_share)
        launch_us, token_us = self._coefficients()
        if self.nodes == 1:
            link = hardware.nvlink_gb_per_s / k["reference_nvlink_gb_per_s"]
        else:
            link = hardware.network_gb_per_s / k["reference_network_gb_per_s"]
        launch_s = launch_us * MICROSECOND
        transfer_s = token_us * gpu_tokens * self.hidden_size / k["hidden_size"] / link * MICROSECOND
        size = gpu_tokens * self.num_experts_per_token * self.hidden_size * self.bytes_per_value
        return Cost(launch_s + transfer_s, 0.0, 0.0, size, "launch" if launch_s > transfer_s else "network")

    def _coefficients(self) -> tuple[float, float]:
        """(alpha, c) in us for this number of nodes and experts per token."""
        k, nodes = self.kernel, self.nodes
        trusted = int(k["largest_trusted_nodes"])
        below = 1 if nodes == 1 else 2 if nodes < trusted else trusted
        above = below if nodes in (1, 2) or nodes >= trusted else trusted
        part = 0.0 if above == below else (log2(nodes) - log2(below)) / (log2(above) - log2(below))
        launch = k[f"t0_us_{below}"] + part * (k[f"t0_us_{above}"] - k[f"t0_us_{below}"])
        token = k[f"us_per_token_{below}"] + part * (k[f"us_per_token_{above}"] - k[f"us_per_token_{below}"])
        if nodes == 1:
            return launch, token * self.num_experts_per_token / k["experts_per_token"]
        measured_nodes = min(nodes, trusted)
        reached = nodes_reached(nodes, self.num_experts_per_token)
        return launch, token * reached / nodes_reached(measured_nodes, k["experts_per_token"])


def nodes_reached(nodes: int, experts_per_token: float) -> float:
    """Expected other nodes that a token goes to when its experts fall on nodes at random (1.0 of 2 for top-8)."""
    reached: float = (nodes - 1) * (1.0 - (1.0 - 1.0 / nodes) ** experts_per_token)
    return reached
