"""Which replica takes a request, and what clients do when it fails."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sim.scenario.section import CountOrZero, Seconds, SecondsOrZero, Section


class RouterSection(Section):
    """Router and client policy."""

    policy: Literal["round_robin", "least_outstanding", "power_of_two", "prefix_affinity", "session_sticky"] = (
        "least_outstanding"
    )
    """How the router chooses among the replicas that are up."""
    affinity_guard: CountOrZero = 8
    """Requests that a rank may have more than the least loaded one and still be chosen for its cache."""
    request_timeout_s: Seconds | None = None
    """A client gives up on an attempt after this time and tries again; without it, the catalog's."""
    max_retries: Annotated[int, Field(strict=True, ge=0, le=1000)] | None = None
    """Attempts after the first, before a request counts as failed or abandoned; without it, the catalog's."""
    retry_backoff_s: SecondsOrZero | None = None
    """Pause before the first retry; without it, the catalog's."""
    retry_backoff_factor: Annotated[float, Field(strict=True, ge=1.0, le=100.0)] | None = None
    """Growth of the pause from one retry to the next; without it, the catalog's."""
    failure_pause_s: Seconds = 1.0
    """Least pause of a closed loop's caller after a request that did not complete."""
