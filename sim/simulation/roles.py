"""The roles of a deployment: replicas that do both, or prefill and decode pools, each planned as if it stood alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sim.scenario.scenario import Scenario
from sim.simulation.memory import Planned, plan

RoleName = Literal["", "prefill", "decode"]


@dataclass(frozen=True, slots=True)
class Role:
    """One kind of replicas.

    Attributes
    ----------
    name : empty where replicas do both.
    scenario : the scenario with the layout, engine and replicas of this role as its deployment.
    planned : memory of one of its replicas.
    """

    name: RoleName
    scenario: Scenario
    planned: Planned

    @property
    def replicas(self) -> int:
        """Replicas of this role, as many as there may be at most."""
        deployment = self.scenario.deployment
        return deployment.replicas if deployment.autoscaling is None else deployment.autoscaling.max_replicas

    @property
    def nodes(self) -> int:
        """Nodes in service for it."""
        return self.replicas * self.planned.layout.num_nodes

    @property
    def gpus(self) -> int:
        """GPUs in service for it."""
        return self.replicas * self.planned.layout.num_gpus

    @property
    def noun(self) -> str:
        """What one of them is called."""
        return f"{self.name} replica" if self.name else "replica"


def roles_of(scenario: Scenario) -> tuple[Role, ...]:
    """One role, or prefill and decode in this order.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError : a plan cannot be made.
    """
    if scenario.deployment.disaggregation is None:
        return (Role("", scenario, plan(scenario)),)
    parts = (("prefill", pool_scenario(scenario, "prefill")), ("decode", pool_scenario(scenario, "decode")))
    return tuple(Role(name, part, plan(part)) for name, part in parts)  # type: ignore[arg-type]


def pool_scenario(scenario: Scenario, name: Literal["prefill", "decode"]) -> Scenario:
    """The scenario with one of its pools as the whole deployment.

    Both admit by vLLM's rules: those of other engines look ahead to the output, which no replica that prefills gives,
    and for which decode ranks reserve `num_reserved_decode_tokens`. A decode pool has no prefix cache, and nobody who
    waits there displaces others.
    """
    pools = scenario.deployment.disaggregation
    assert pools is not None
    pool = getattr(pools, name)
    own: dict[str, Any] = {"scheduler": "vllm"}
    if name == "decode":
        own |= {"enable_prefix_caching": False, "priority_preemption_threshold": None}
    engine = pool.engine.model_copy(update=own)
    changes = {"replicas": pool.replicas, "layout": pool.layout, "engine": engine, "disaggregation": None}
    return scenario.model_copy(update={"deployment": scenario.deployment.model_copy(update=changes)})


def nodes_in_service(scenario: Scenario) -> int:
    """Nodes of all replicas, without spares."""
    return sum(role.nodes for role in roles_of(scenario))


def gpus_in_service(scenario: Scenario) -> int:
    """GPUs of all replicas, without spares."""
    return sum(role.gpus for role in roles_of(scenario))
