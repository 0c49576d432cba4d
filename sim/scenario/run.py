"""How long, how often, from which seed."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.section import Seconds, SecondsOrZero, Section


class RunSection(Section):
    """Run control."""

    horizon_s: Seconds = 3600.0
    """Simulated time of one replication."""
    warmup_s: SecondsOrZero = 600.0
    """Nothing before this time is measured; latencies are those of requests that arrive after it."""
    replications: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 10
    """Independent repetitions; intervals come from their spread."""
    seed: Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)] = 1
    """Root of all random streams."""
    max_requests: Annotated[int, Field(strict=True, ge=1, le=10**12)] | None = None
    """Stop sending after this many requests."""
    record_requests: bool = False
    """Keep one row per completed request (memory grows with their number)."""

    model_uncertainty: Literal["none", "interval"] = "none"
    """`interval`: besides the sampling interval, an 80 % interval over draws of the model's own coefficients."""
    model_draws: Annotated[int, Field(strict=True, ge=9, le=10_000)] = 20
    """Draws of kernel coefficients, engine constants, expert imbalance and acceptance behind the model interval."""

    @model_validator(mode="after")
    def _something_is_measured(self) -> Self:
        if self.warmup_s >= self.horizon_s:
            raise ValueError(f"warmup_s {self.warmup_s:g} leaves nothing of horizon_s {self.horizon_s:g} to measure")
        return self
