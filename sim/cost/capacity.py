"""What a fleet can deliver, tied to the service level and the mix that it holds for."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from sim.errors import ScenarioError


@dataclass(frozen=True, slots=True)
class Capacity:
    """Highest rate within a service level; throughput without one is no capacity.

    Attributes
    ----------
    output_tokens_per_s : output of the whole fleet.
    service_level : the limits that hold at this rate, in words.
    mix : the workload it holds for, in words.

    Raises
    ------
    ScenarioError : the rate is not positive, or the service level or the mix is not named.
    """

    output_tokens_per_s: float
    service_level: str
    mix: str

    def __post_init__(self) -> None:
        if not 0 < self.output_tokens_per_s < inf:
            raise ScenarioError(
                "out of range", key="output_tokens_per_s", value=self.output_tokens_per_s, valid="above 0, finite"
            )
        for key in ("service_level", "mix"):
            if not getattr(self, key).strip():
                raise ScenarioError("a capacity must say what it holds for", key=key, value=getattr(self, key))

    def delivered_frac(self, output_tokens_per_s: float) -> float:
        """Delivered output over this capacity; above 1 when more was delivered than the service level allows."""
        return output_tokens_per_s / self.output_tokens_per_s
