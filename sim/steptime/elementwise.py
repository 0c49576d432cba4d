"""Small operations that move hidden states or logits once or a few times: norms and sampling."""

from __future__ import annotations

from dataclasses import dataclass

from sim.steptime.kernels import Kernel
from sim.steptime.operation import Cost
from sim.units import MICROSECOND


@dataclass(frozen=True, slots=True)
class Elementwise:
    """t = t0 + passes x tokens x bytes per token / (BW em).

    Checked: 122 norms of DeepSeek-V3 at 32 tokens per GPU take 0.4 ms, as the kernel database composes them.
    """

    kernel: Kernel
    bytes_per_token: float
    hbm_bytes_per_s: float

    def cost(self, tokens: int) -> Cost:
        """Cost for `tokens` tokens."""
        k = self.kernel
        traffic = k["passes"] * tokens * self.bytes_per_token
        launch_s = k["t0_us"] * MICROSECOND
        memory_s = traffic / (self.hbm_bytes_per_s * k["memory_efficiency"])
        return Cost(launch_s + memory_s, 0.0, traffic, 0.0, "launch" if launch_s > memory_s else "memory")
