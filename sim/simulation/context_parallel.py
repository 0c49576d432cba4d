"""Which engines run context parallelism, and for which attention: rows of the engines table."""

from __future__ import annotations

from sim.catalog.tables import fact, table
from sim.errors import ScenarioError
from sim.llm.spec import ModelSpec
from sim.scenario.scenario import Scenario

KEYS = ("decode_context_parallel_size", "prefill_context_parallel_size")


def check_context_parallel(scenario: Scenario, spec: ModelSpec) -> None:
    """Refuse context parallelism that the scenario's engine is not known to run for the model's attention.

    Raises
    ------
    ScenarioError : names the key, the kinds of attention that the engine runs it for, and the engines that would do.
    """
    engine, kind = scenario.deployment.engine.name, attention_kind(spec)
    for key in KEYS:
        size = getattr(scenario.deployment.layout, key)
        if size == 1:
            continue
        runs = kinds(engine, key)
        if kind not in runs:
            others = [name for name in table("engines") if kind in kinds(name, key)]
            raise ScenarioError(
                f"{engine} is not known to run this for {kind.replace('_', ' ')} attention "
                f"(it is for {', '.join(runs).replace('_', ' ') or 'none'})",
                key=f"deployment.layout.{key}",
                value=size,
                valid="1" + (f", or deployment.engine.name {' or '.join(others)}" if others else ""),
                file=scenario.file,
            )


def attention_kind(spec: ModelSpec) -> str:
    """`grouped_query`, `latent` or `sparse_latent`."""
    if spec.attention != "mla":
        return "grouped_query"
    return "sparse_latent" if spec.has_sparse_attention else "latent"


def kinds(engine: str, key: str) -> list[str]:
    """Kinds of attention for which an engine runs the parallelism that `key` sizes."""
    value = str(fact("engines", engine, key.removesuffix("_size")).value)
    return [] if value == "none" else value.split("+")
