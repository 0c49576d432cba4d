"""Compose the step-time law of one replica from model, layout, hardware and engine."""

from __future__ import annotations

from collections.abc import Mapping

from sim.catalog.tables import fact, number
from sim.errors import ScenarioError
from sim.llm.layout import Layout
from sim.llm.spec import ModelSpec
from sim.steptime.deepep import dispatch_limit_tokens as default_limit_tokens
from sim.steptime.hardware import load_hardware
from sim.steptime.imbalance import imbalance_of
from sim.steptime.inputs import DeepEpMode, LawInputs
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.kernel_draw import KernelDraw
from sim.steptime.law_parts import law_parts
from sim.steptime.layer_groups import layer_groups
from sim.steptime.overlap import TwoBatchLaw
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
    deepep_mode: DeepEpMode = "auto",
    dispatch_limit_tokens: int | None = None,
    two_batch_overlap: bool = False,
    draw: KernelDraw | None = None,
) -> KernelStepLaw:
    """The step-time law of one replica.

    Parameters
    ----------
    gpu, node, engine : names of the catalog; node `auto` is the usual one for the GPU.
    weights, kv_cache_dtype : formats of `sim.llm.formats` and `sim.llm.kvcache`.
    imbalance : `law`, `alpha`, ... as in `sim.steptime.imbalance.imbalance_of`, or `groups` of layers with such keys.
    host_overhead_s : host time per step and stage; without it, the engine's of the catalog.
    num_speculative_tokens : tokens drafted per decoding sequence and step; above 0 the law is that of
        `sim.steptime.speculative`.
    deepep_mode : dispatch mode, as in `sim.steptime.inputs.LawInputs`.
    dispatch_limit_tokens : tokens per GPU that low-latency mode holds; without it, the catalog's.
    draw : how far the kernels are from their fits (`sim.steptime.kernel_draw`); None for the fits.
    two_batch_overlap : compute steps in overlapping halves (`sim.steptime.overlap`).

    Raises
    ------
    CatalogError : unknown GPU, node, engine or weight format.
    ScenarioError : unknown cache type or imbalance law.
    """
    host_status = "scenario"
    if host_overhead_s is None:
        host_overhead_s = number("engines", engine, "host_overhead_ms") * MILLISECOND
        host_status = fact("engines", engine, "host_overhead_ms").status
    groups = layer_groups(imbalance, spec.num_moe_layers)
    inputs = LawInputs(
        spec,
        layout,
        load_hardware(gpu, node),
        engine,
        weights,
        kv_cache_dtype,
        groups[0].imbalance if groups else imbalance_of(imbalance),
        layer_groups=groups,
        deepep_mode=deepep_mode,
        dispatch_limit_tokens=default_limit_tokens() if dispatch_limit_tokens is None else dispatch_limit_tokens,
        draw=draw,
    )
    if layout.prefill_context_parallel_size > 1 and (num_speculative_tokens or two_batch_overlap):
        raise ScenarioError(
            "prefill context parallelism with speculative decoding or two-batch overlap is not modelled",
            key="prefill_context_parallel_size",
            value=layout.prefill_context_parallel_size,
            valid="1 with either",
        )
    if num_speculative_tokens:
        if two_batch_overlap:
            raise ScenarioError(
                "two-batch overlap with speculative decoding is not modelled",
                key="enable_two_batch_overlap",
                value=True,
                valid="false with num_speculative_tokens above 0",
            )
        return speculative_law(inputs, num_speculative_tokens, host_overhead_s, host_status)
    parts = law_parts(inputs, host_overhead_s, host_status)
    return TwoBatchLaw(inputs, parts) if two_batch_overlap else KernelStepLaw(inputs, parts)
