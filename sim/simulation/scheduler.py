"""The engine's rules of admission, from the scenario and the catalog; and the gateway's limits of tenants."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from sim.catalog.tables import number
from sim.engine.plan import NewTokenRatio, Scheduler, TenantLimit
from sim.errors import ScenarioError
from sim.scenario.scenario import Scenario


def scheduler_of(scenario: Scenario) -> Scheduler:
    """Whose rules are followed: the scenario's choice, or those of its engine.

    The rules of SGLang and TensorRT-LLM are modelled for one token per step; with drafts vLLM's are followed.
    """
    engine = scenario.deployment.engine
    if engine.scheduler != "auto":
        return engine.scheduler
    return "vllm" if engine.num_speculative_tokens else engine.name


def new_token_ratio(scenario: Scenario) -> NewTokenRatio | None:
    """SGLang's estimate, scaled by `schedule_conservativeness`; None for other schedulers."""
    if scheduler_of(scenario) != "sglang":
        return None
    conservativeness = scenario.deployment.engine.schedule_conservativeness

    def constant(name: str) -> float:
        return number("engines", "sglang", name)

    scale = 1.0 if conservativeness is None else conservativeness
    initial = min(1.0, scale * constant("init_new_token_ratio"))
    minimum = min(1.0, initial * constant("min_new_token_ratio_factor"))
    return NewTokenRatio(
        initial=initial,
        minimum=minimum,
        decay=(initial - minimum) / constant("new_token_ratio_decay_steps"),
        clip_tokens=int(constant("clip_max_new_tokens_estimation")),
        retract_steps=int(constant("retract_decode_steps")),
    )


def tenant_limits(scenario: Scenario, tenants: Sequence[str] = ()) -> tuple[TenantLimit, ...]:
    """Limits at the gateway.

    Parameters
    ----------
    tenants : names of the workload's tenants in order of their indices; without names, indices are the names.

    Raises
    ------
    ScenarioError : a limit for a tenant that the workload does not have.
    """
    return tuple(
        TenantLimit(
            _tenant_index(scenario, entry, limit.tenant, tenants),
            inf if limit.max_concurrent_requests is None else limit.max_concurrent_requests,
            inf if limit.rate_rps is None else limit.rate_rps,
            limit.burst,
            inf if limit.tokens_per_min is None else limit.tokens_per_min,
        )
        for entry, limit in enumerate(scenario.router.tenant_limits)
    )


def _tenant_index(scenario: Scenario, entry: int, name: str, tenants: Sequence[str]) -> int | None:
    if name == "*":
        return None
    if name in tenants:
        return tenants.index(name)
    if not tenants and name.isdecimal():
        return int(name)
    raise ScenarioError(
        "is no tenant of the workload",
        key=f"router.tenant_limits[{entry}].tenant",
        value=name,
        valid="*, " + (", ".join(tenants) or "the index of a tenant, from 0"),
        file=scenario.file,
    )
