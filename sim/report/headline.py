"""What was simulated, in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from sim.llm.spec import ModelSpec
from sim.report.figures import duration, plain_number, plural
from sim.report.load import load_words
from sim.scenario.scenario import Scenario
from sim.simulation.memory import Planned
from sim.simulation.roles import roles_of

PATH_PARTS: Final = 2  # of a path to a model, enough to tell it from others


@dataclass(frozen=True, slots=True)
class Headline:
    """A scenario in four lines.

    Attributes
    ----------
    system : model, weights, GPUs.
    layout : parallel layout, replicas, engine.
    load : what the clients send.
    extent : simulated time, replications, seed.
    """

    system: str
    layout: str
    load: str
    extent: str


def headline(scenario: Scenario, planned: Planned) -> Headline:
    """The headline of a scenario with its memory plan."""
    deployment = scenario.deployment
    roles = roles_of(scenario)
    gpus, nodes = sum(role.gpus for role in roles), sum(role.nodes for role in roles)
    spares = f", {plural(deployment.spare_nodes, 'spare node')}" if deployment.spare_nodes else ""
    engine_section = roles[0].scenario.deployment.engine
    tiers = (("host", engine_section.host_cache), ("remote", deployment.remote_cache))
    below = "".join(f", {name} KV tier" for name, section in tiers if section is not None)
    engine = f"{planned.memory.kv_cache_dtype} cache{below}, {engine_section.name}"
    drafts = planned.speculation.num_speculative_tokens
    if drafts:
        engine += f", {plural(drafts, 'draft')} per step"
    replicas = " and ".join(f"{plural(role.replicas, role.noun)} of {role.planned.layout}" for role in roles)
    run = scenario.run
    return Headline(
        system=f"{model_name(planned.spec)} in {planned.memory.weights} on {gpus:,} x {scenario.hardware.gpu}",
        layout=f"{replicas}, {engine}, {plural(nodes, 'node')}{spares}",
        load=load_words(scenario),
        extent=f"{plural(run.replications, 'replication')} of {duration(run.horizon_s)}, "
        f"measured after {duration(run.warmup_s)}, seed {run.seed}",
    )


def model_name(spec: ModelSpec) -> str:
    """The name of a model; of a path, the last two parts."""
    parts = PurePath(spec.name).parts
    return spec.name if len(parts) <= PATH_PARTS else PurePath(*parts[-PATH_PARTS:]).as_posix()


def limits_words(scenario: Scenario) -> str:
    """The service level, as `TTFT <= 2 s and TPOT <= 100 ms`; empty when there is none."""
    named = (("TTFT", scenario.slo.ttft_ms), ("TPOT", scenario.slo.tpot_ms), ("E2EL", scenario.slo.e2el_ms))
    return " and ".join(f"{name} ≤ {_milliseconds(limit)}" for name, limit in named if limit is not None)


def _milliseconds(limit_ms: float) -> str:
    return f"{plain_number(limit_ms / 1000)} s" if limit_ms >= 1000 else f"{plain_number(limit_ms)} ms"
