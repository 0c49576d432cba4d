"""The autoscaler of a scenario."""

from __future__ import annotations

from sim.catalog.tables import number
from sim.engine.plan import AutoscalerPlan
from sim.scenario.scenario import Scenario
from sim.simulation.faults import restart_parts
from sim.simulation.memory import Planned


def autoscaler_plan(scenario: Scenario, planned: Planned) -> AutoscalerPlan | None:
    """When replicas come and go; None where they do not."""
    section = scenario.deployment.autoscaling
    if section is None:
        return None

    def chosen(name: str) -> float:
        value = getattr(section, name)
        return number("reliability", "autoscaler", name) if value is None else float(value)

    return AutoscalerPlan(
        min_replicas=section.min_replicas,
        max_replicas=section.max_replicas,
        initial_replicas=scenario.deployment.replicas,
        target=section.target,
        metric=section.metric,
        interval_s=chosen("interval_s"),
        provision_s=chosen("provision_s"),
        success_prob=chosen("success_prob"),
        restart_s=sum(restart_parts(scenario, planned).values()),
        scale_up_cooldown_s=chosen("scale_up_cooldown_s"),
        scale_down_cooldown_s=chosen("scale_down_cooldown_s"),
    )
