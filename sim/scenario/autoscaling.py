"""Replicas that come and go with the load, as a scenario states them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.section import Count, Seconds, SecondsOrZero, Section


class AutoscalingSection(Section):
    """An autoscaler; `deployment.replicas` is how many replicas there are at the start.

    What is left open comes from the catalog.
    """

    min_replicas: Count = 1
    """Fewest replicas."""
    max_replicas: Count
    """Most replicas."""
    metric: Literal["outstanding", "waiting"] = "outstanding"
    """What is looked at: unfinished requests, or those in the queues of replicas."""
    target: Annotated[float, Field(strict=True, gt=0.0, le=1e6)]
    """How much of it each replica is to have."""
    interval_s: Seconds | None = None
    """From one look to the next."""
    provision_s: SecondsOrZero | None = None
    """Until a request for the nodes of a replica is answered."""
    success_prob: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] | None = None
    """How likely such a request is granted; it is repeated until it is."""
    scale_up_cooldown_s: SecondsOrZero | None = None
    """Least time from one step up to the next."""
    scale_down_cooldown_s: SecondsOrZero | None = None
    """Least time from any step to a step down."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas {self.min_replicas} exceeds max_replicas {self.max_replicas}")
        return self
