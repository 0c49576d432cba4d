"""The service level that makes a completed request a good one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.scenario.section import Milliseconds, Section


class SloSection(Section):
    """Latency limits per request; goodput counts the requests that meet all of them."""

    ttft_ms: Milliseconds | None = None
    """Time to first token, at most."""
    tpot_ms: Milliseconds | None = None
    """Mean time per output token after the first, at most."""
    e2el_ms: Milliseconds | None = None
    """End-to-end latency, at most."""
    attainment_frac: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] = 0.95
    """Share of requests that must meet the limits for the load to count as carried."""
