"""Hand-over of activations from one pipeline stage to the next.

A step is one round of the pipeline: every microbatch passes all stages, so its layers are summed over stages, and
`sim.engine.pipeline` says how microbatches follow each other. What pipelining adds to the sum is this hand-over.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.llm.layout import Layout
from sim.steptime.hardware import Hardware
from sim.steptime.kernels import Kernel
from sim.steptime.operation import Cost
from sim.units import GB, MICROSECOND


@dataclass(frozen=True, slots=True)
class StageSend:
    """One hand-over: hidden state and residual in BF16, each GPU sending its tensor-parallel share. Assumed."""

    kernel: Kernel
    hardware: Hardware
    hidden_size: int
    tensor_parallel_size: int
    crosses_nodes: bool

    def cost(self, tokens: int) -> Cost:
        """Cost of handing over `tokens` tokens."""
        size = 4.0 * tokens * self.hidden_size / self.tensor_parallel_size
        link = self.hardware.network_gb_per_s if self.crosses_nodes else self.hardware.nvlink_gb_per_s / 2
        launch_s = self.kernel["t0_us"] * MICROSECOND
        transfer_s = size / (link * GB * self.kernel["network_efficiency"])
        return Cost(launch_s + transfer_s, 0.0, 0.0, size, "launch" if launch_s > transfer_s else "network")


def crossings(layout: Layout) -> tuple[int, int]:
    """(hand-overs inside a node, hand-overs between nodes) of one round."""
    stages, size = layout.pipeline_parallel_size, layout.stage_gpus
    between = sum(1 for stage in range(1, stages) if stage * size % layout.gpus_per_node == 0)
    return stages - 1 - between, between
