"""Settings of the expert-parallel load balancer (EPLB), and what moving experts costs a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from sim.catalog.tables import number
from sim.errors import ScenarioError
from sim.steptime.hardware import Hardware
from sim.steptime.kernels import Kernel
from sim.steptime.operation import Cost
from sim.units import GB, MILLISECOND

ROW: Final = "expert_load_balancing"
_KEYS: Final = ("window_size", "step_interval", "drift_half_life_s", "typical_step_ms")


@dataclass(frozen=True, slots=True)
class Eplb:
    """When experts are placed anew, and how fast their popularity drifts meanwhile.

    Attributes
    ----------
    window_size : steps over which load is counted before experts are placed.
    step_interval : steps from one placement to the next.
    drift_half_life_s : time after which popularity correlates by one half with what it was; infinite for none.
    typical_step_s : duration of a step; turns steps into seconds of drift.
    assumed : keys that the catalog filled in.
    """

    window_size: int
    step_interval: int
    drift_half_life_s: float
    typical_step_s: float
    assumed: tuple[str, ...] = ()

    def kept(self, steps: float) -> float:
        """Correlation of popularity with itself, so many steps later."""
        if self.drift_half_life_s == inf:
            return 1.0
        halvings: float = steps * self.typical_step_s / self.drift_half_life_s
        return float(2.0**-halvings)


def eplb_of(values: Mapping[str, object]) -> Eplb:
    """The settings of a mapping with vLLM's keys; what is missing or None comes from the catalog.

    A `drift_half_life_s` of 0 reads as no drift.

    Raises
    ------
    ScenarioError : a number out of range.
    """
    chosen: dict[str, float] = {}
    for key in _KEYS:
        value = values.get(key)
        lowest = 0.0 if key == "drift_half_life_s" else 1e-6
        if value is None:
            value = number("kernels", ROW, key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= 1e9:
            raise ScenarioError(
                "out of range", key=f"expert_imbalance.eplb.{key}", value=value, valid=f"from {lowest:g} to 1e9"
            )
        chosen[key] = float(value)
    half_life_s = chosen["drift_half_life_s"] or inf
    assumed = tuple(key for key in ("drift_half_life_s", "typical_step_ms") if values.get(key) is None)
    return Eplb(
        int(chosen["window_size"]),
        int(chosen["step_interval"]),
        half_life_s,
        chosen["typical_step_ms"] * MILLISECOND,
        assumed,
    )


@dataclass(frozen=True, slots=True)
class Rebalancing:
    """Fetching experts at a new placement, spread evenly over the steps of the period.

    The engine stops for it once per period: every GPU fetches the experts that it lacks, layer by layer, and waits for
    the one that fetches most. Experts are taken from GPUs at random: the part 1 - 1/nodes crosses the network.
    Assumed: no such transfer was measured.
    """

    kernel: Kernel
    hardware: Hardware
    nodes: int
    expert_bytes: float

    def pause_s(self, experts: float) -> float:
        """Seconds to fetch so many experts to one GPU."""
        remote = 1.0 - 1.0 / self.nodes
        efficiency = self.kernel["network_efficiency"]
        network = self.hardware.network_gb_per_s * GB * efficiency
        nvlink = self.hardware.nvlink_gb_per_s / 2 * GB * efficiency
        return experts * self.expert_bytes * (remote / network + (1.0 - remote) / nvlink)

    def cost(self, experts: float, step_interval: int) -> Cost:
        """The share of one step."""
        size = experts * self.expert_bytes
        return Cost(self.pause_s(experts) / step_interval, 0.0, 0.0, size / step_interval, "network")
