"""Which replica takes a request, and what clients do when it fails."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.health import HealthSection
from sim.scenario.section import Count, CountOrZero, Seconds, SecondsOrZero, Section


class TenantLimitSection(Section):
    """What the gateway lets one tenant do; attempts beyond it are turned away (HTTP 429) and tried again later."""

    tenant: Annotated[str, Field(min_length=1)]
    """Name of the tenant in the workload, its index, or `*` for every tenant without an entry, each on its own."""
    max_concurrent_requests: Count | None = None
    """Requests inside the cluster at a time."""
    rate_rps: Annotated[float, Field(strict=True, gt=0.0, le=1e6)] | None = None
    """Requests per second in the long run."""
    burst: Count = 1
    """Requests that may come at once under `rate_rps`."""
    tokens_per_min: Annotated[float, Field(strict=True, gt=0.0, le=1e12)] | None = None
    """Prompt and output tokens per minute in the long run, and at once."""

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.max_concurrent_requests is None and self.rate_rps is None and self.tokens_per_min is None:
            raise ValueError(
                f"sets no limit for {self.tenant}; give max_concurrent_requests, rate_rps or tokens_per_min"
            )
        if self.rate_rps is None and "burst" in self.model_fields_set:
            raise ValueError("burst belongs to rate_rps")
        return self


class RouterSection(Section):
    """Router and client policy."""

    policy: Literal[
        "round_robin", "least_outstanding", "power_of_two", "prefix_affinity", "prefix_hash", "session_sticky"
    ] = "least_outstanding"
    """How the router chooses among the replicas that are up."""
    affinity_guard: CountOrZero = 8
    """Requests that a rank may have more than the least loaded one and still be chosen for its cache."""
    prefix_hash_tokens: Count = 256
    """Leading tokens of a prompt that `prefix_hash` looks at."""
    prefix_hash_load_factor: Annotated[float, Field(strict=True, ge=1.0, le=100.0)] = 1.25
    """Unfinished requests that a replica may have, over the mean, and still be chosen by `prefix_hash`."""
    tenant_limits: tuple[TenantLimitSection, ...] = ()
    """Limits of tenants at the gateway, one entry each."""
    request_timeout_s: Seconds | None = None
    """A client gives up on an attempt after this time and tries again; without it, the catalog's."""
    max_retries: Annotated[int, Field(strict=True, ge=0, le=1000)] | None = None
    """Attempts after the first, before a request counts as failed or abandoned; without it, the catalog's."""
    retry_backoff_s: SecondsOrZero | None = None
    """Pause before the first retry; without it, the catalog's."""
    retry_backoff_factor: Annotated[float, Field(strict=True, ge=1.0, le=100.0)] | None = None
    """Growth of the pause from one retry to the next; without it, the catalog's."""
    retry_backoff_max_s: SecondsOrZero | None = None
    """Longest pause before a retry; without it, the catalog's."""
    retry_jitter_frac: Annotated[float, Field(strict=True, ge=0.0, lt=1.0)] = 0.0
    """Share by which pauses vary up and down, drawn uniformly."""
    retry_budget_frac: Annotated[float, Field(strict=True, ge=0.0, le=100.0)] | None = None
    """Retries for each request that all clients have together; without it, as many as `max_retries` lets them."""
    retry_budget_burst: Annotated[float, Field(strict=True, ge=1.0, le=1e9)] | None = None
    """Retries that may come at once under the budget; without it, the catalog's."""
    in_flight: Literal["fail", "retry", "migrate"] = "retry"
    """What becomes of a request whose replica is lost: an error for its client, a new attempt from the prompt, or the
    router sends it on with its output so far, which is prefilled elsewhere together with the prompt."""
    health: HealthSection = HealthSection()
    """What the router knows of replicas that are down."""
    failure_pause_s: Seconds = 1.0
    """Least pause of a closed loop's caller after a request that did not complete."""

    @model_validator(mode="after")
    def _burst_of_a_budget(self) -> Self:
        if self.retry_budget_burst is not None and self.retry_budget_frac is None:
            raise ValueError("retry_budget_burst belongs to retry_budget_frac")
        return self

    @model_validator(mode="after")
    def _one_entry_each(self) -> Self:
        names = [limit.tenant for limit in self.tenant_limits]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"tenant_limits has two entries for {twice}")
        return self
