"""Compose the step-time law of one replica from model, layout, hardware and engine."""

from __future__ import annotations

from collections.abc import Mapping

from sim.catalog.tables import fact, number
from sim.llm.layout import Layout
from sim.llm.spec import ModelSpec
from sim.steptime.hardware import load_hardware
from sim.steptime.imbalance import imbalance_of
from sim.steptime.inputs import LawInputs
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.law_parts import law_parts
from sim.steptime.speculative import speculative_law
from sim.units import MILLISECOND


def build_law(
    spec: ModelSpec,
    layout: Layout,
    *,
    gpu: str,
    node: str,
    engine: str,
    weights: str,
    kv_cache_dtype: str,
    imbalance: Mapping[str, object],
    host_overhead_s: float | None = None,
    num_speculative_tokens: int = 0,
) -> KernelStepLaw:
    """The step-time law of one replica.

    Parameters
    ----------
    gpu, node, engine : names of the catalog; node `auto` is the usual one for the GPU.
    weights, kv_cache_dtype : formats of `sim.llm.formats` and `sim.llm.kvcache`.
    imbalance : `law`, `alpha`, `max_over_mean` as in `sim.steptime.imbalance.imbalance_of`.
    host_overhead_s : host time per step and stage; without it, the engine's of the catalog.
    num_speculative_tokens : tokens drafted per decoding sequence and step; above 0 the law is that of
        `sim.steptime.speculative`.

    Raises
    ------
    CatalogError : unknown GPU, node, engine or weight format.
    ScenarioError : unknown cache type or imbalance law.
    """
    host_status = "scenario"
    if host_overhead_s is None:
        host_overhead_s = number("engines", engine, "host_overhead_ms") * MILLISECOND
        host_status = fact("engines", engine, "host_overhead_ms").status
    inputs = LawInputs(spec, layout, load_hardware(gpu, node), engine, weights, kv_cache_dtype, imbalance_of(imbalance))
    if num_speculative_tokens:
        return speculative_law(inputs, num_speculative_tokens, host_overhead_s, host_status)
    return KernelStepLaw(inputs, law_parts(inputs, host_overhead_s, host_status))
