"""What clients and the router do when attempts fail: the scenario's words, or the catalog's."""

from __future__ import annotations

from sim.catalog.tables import number
from sim.engine.plan import ClientPolicy, HealthPlan
from sim.scenario.scenario import Scenario
from sim.simulation.engine_constants import constant
from sim.units import MILLISECOND


def client_policy(scenario: Scenario) -> ClientPolicy:
    """Retries and patience."""
    router = scenario.router

    def chosen(name: str) -> float:
        value = getattr(router, name)
        return number("reliability", "client", name) if value is None else float(value)

    return ClientPolicy(
        max_retries=int(chosen("max_retries")),
        retry_backoff_s=chosen("retry_backoff_s"),
        retry_backoff_factor=chosen("retry_backoff_factor"),
        retry_backoff_max_s=chosen("retry_backoff_max_s"),
        retry_jitter_frac=router.retry_jitter_frac,
        retry_budget_frac=router.retry_budget_frac,
        retry_budget_burst=chosen("retry_budget_burst"),
        request_timeout_s=chosen("request_timeout_s"),
        failure_pause_s=router.failure_pause_s,
        response_latency_s=constant(scenario, "response_latency_ms") * MILLISECOND,
    )


def health_plan(scenario: Scenario) -> HealthPlan | None:
    """How the router finds out about replicas; None where it knows at once."""
    health = scenario.router.health
    if health.knowledge == "perfect":
        return None

    def chosen(name: str) -> float:
        value = getattr(health, name)
        return number("reliability", "router", name) if value is None else float(value)

    return HealthPlan(
        check_interval_s=chosen("check_interval_s"),
        failures=int(chosen("breaker_failures")),
        window_s=chosen("breaker_window_s"),
        cooldown_s=chosen("breaker_cooldown_s"),
        successes=int(chosen("breaker_successes")),
    )
