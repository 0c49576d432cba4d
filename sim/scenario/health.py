"""What the router knows of replicas that may be down, as a scenario states it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.section import Count, Seconds, SecondsOrZero, Section


class HealthSection(Section):
    """Health checks and a circuit breaker for each replica; what is left open comes from the catalog."""

    knowledge: Literal["perfect", "observed"] = "perfect"
    """`perfect`: the router knows at once that a replica died or came back; `observed`: it finds out."""
    check_interval_s: Seconds | None = None
    """From one health check of a replica to the next."""
    breaker_failures: Count | None = None
    """Failed attempts within the window that open the circuit of a replica."""
    breaker_window_s: Seconds | None = None
    """Length of that window."""
    breaker_cooldown_s: SecondsOrZero | None = None
    """Time for which nothing is sent through an open circuit."""
    breaker_successes: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    """Attempts that must succeed after that before failures are counted anew."""

    @model_validator(mode="after")
    def _belongs_to_observation(self) -> Self:
        given = [name for name, value in self if name != "knowledge" and value is not None]
        if self.knowledge == "perfect" and given:
            raise ValueError(f"{given[0]} belongs to knowledge: observed")
        return self
