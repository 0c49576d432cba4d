"""Prompts prefilled in one pool of replicas and decoded in another, as a scenario states it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.deployment import DeploymentSection, EngineSection, LayoutSection
from sim.scenario.section import Count, CountOrZero, Section


class PoolSection(Section):
    """One of the two pools; keys of its layout and engine that are not given are those of the deployment."""

    replicas: Count = 1
    """Copies of the model in this pool."""
    layout: LayoutSection = LayoutSection()
    """Parallel layout of one of its replicas."""
    engine: EngineSection = EngineSection()
    """Engine limits of its replicas; both pools run the same engine and store KV in the same format."""


class TransferSection(Section):
    """KV on its way from a prefill rank to a decode rank, over the network cards of both ranks' GPUs."""

    bandwidth_efficiency_frac: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] | None = None
    """Share of the cards' rate that a transfer reaches; without it, the catalog's for the engine."""
    latency_ms: Annotated[float, Field(strict=True, ge=0.0, le=100_000.0)] | None = None
    """Time of each transfer that does not depend on its size; without it, the catalog's for the engine."""
    kv_copies: Literal["per_gpu", "one"] = "per_gpu"
    """`per_gpu`: each GPU of the decode rank has its part sent, a whole copy where the cache is replicated (MLA under
    tensor parallelism); `one`: a single copy over all cards of the rank, spread inside the node at no cost."""


class DisaggregationSection(Section):
    """Two pools instead of replicas that do both."""

    prefill: PoolSection = PoolSection()
    """Replicas that compute prompts and give the first token; prefix caches are here."""
    decode: PoolSection = PoolSection()
    """Replicas that give all further tokens; prefix caching is off here."""
    transfer: TransferSection = TransferSection()
    """KV between the two."""
    num_reserved_decode_tokens: CountOrZero | None = None
    """Room that a decode rank keeps free for each request it holds before it admits another one; without it, the
    catalog's for the engine."""


class Deployment(DeploymentSection):
    """Replicas that do both, or two pools of which each does its part."""

    disaggregation: DisaggregationSection | None = None
    """Prefill and decode in pools of their own; without it, every replica does both."""

    @property
    def engine_files(self) -> list[str]:
        """Names of the files with constants and step times of its engines."""
        pools = self.disaggregation
        engines = (self.engine,) if pools is None else (self.engine, pools.prefill.engine, pools.decode.engine)
        named = (name for engine in engines for name in (engine.calibration, engine.step_times))
        return [name for name in named if name is not None]

    @model_validator(mode="before")
    @classmethod
    def _pools_inherit(cls, values: Any) -> Any:
        return _with_inherited(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _pools_fit(self) -> Self:
        pools = self.disaggregation
        if pools is None:
            return self
        if self.replicas != 1:
            raise ValueError(
                f"replicas {self.replicas} counts replicas that do both; with disaggregation give prefill.replicas and "
                "decode.replicas"
            )
        if self.autoscaling is not None:
            raise ValueError("disaggregation: an autoscaler of two pools is not modelled")
        if self.remote_cache is not None or pools.prefill.engine.host_cache or pools.decode.engine.host_cache:
            raise ValueError("disaggregation: pools with KV tiers (host_cache, remote_cache) are not modelled")
        for name, pool in (("prefill", pools.prefill), ("decode", pools.decode)):
            _refuse_what_pools_do_not_do(name, pool)
        groups = pools.decode.layout.prefill_context_parallel_size
        if groups > 1:
            raise ValueError(
                f"disaggregation: decode.layout.prefill_context_parallel_size {groups} divides prompts, and the decode "
                "pool computes none; it must be 1"
            )
        for key in ("name", "kv_cache_dtype", "indexer_policy"):
            one, other = getattr(pools.prefill.engine, key), getattr(pools.decode.engine, key)
            if one != other:
                raise ValueError(
                    f"disaggregation: engine.{key} is {one} for prefill and {other} for decode, but KV is not "
                    "converted on its way"
                )
        return self


def _refuse_what_pools_do_not_do(name: str, pool: PoolSection) -> None:
    engine, rules = pool.engine, ("capacity_scheduler_policy", "schedule_conservativeness")
    if engine.num_speculative_tokens:
        raise ValueError(
            f"disaggregation: {name}.engine.num_speculative_tokens {engine.num_speculative_tokens} is not modelled: "
            "KV of drafts and their verification between pools; it must be 0"
        )
    if not engine.enable_mixed_chunk:
        raise ValueError(
            f"disaggregation: {name}.engine.enable_mixed_chunk false says nothing here: no replica of a pool both "
            "decodes and prefills; leave it true"
        )
    if engine.scheduler not in ("auto", "vllm") or any(getattr(engine, key) is not None for key in rules):
        raise ValueError(
            f"disaggregation: {name}.engine.scheduler {engine.scheduler}: pools admit by vLLM's rules, since those of "
            f"other engines look ahead to output; scheduler must be auto or vllm, without {' and '.join(rules)}"
        )


def _with_inherited(values: dict[str, Any]) -> dict[str, Any]:
    """The raw values of a deployment, with its layout and engine underneath those of each pool."""
    section = values.get("disaggregation")
    if not isinstance(section, dict):
        return values
    filled = dict(section)
    for pool in ("prefill", "decode"):
        own = filled.get(pool, {})
        if isinstance(own, dict):
            filled[pool] = {**own, **{key: _under(values.get(key), own.get(key)) for key in ("layout", "engine")}}
    return {**values, "disaggregation": filled}


def _under(base: object, own: object) -> object:
    if own is None:
        return {} if base is None else base
    return {**base, **own} if isinstance(base, dict) and isinstance(own, dict) else own
