"""The share of GPU memory that an engine takes when it is not told."""

from __future__ import annotations

from sim.catalog.tables import number, subject
from sim.scenario.scenario import Scenario
from sim.units import GIB, MIB

_RESERVED = "auto_reserved_mib"


def memory_fraction(scenario: Scenario) -> float:
    """`gpu_memory_utilization`: the scenario's, or by the rule of its engine.

    SGLang leaves out what it expects to need for activations (by the prompt tokens of a step), graphs (by their
    largest batch), the size of the group, and data-parallel attention; vLLM and TensorRT-LLM take a fixed share.

    Checked: SGLang on 8 x H200 with TP8 leaves 14.5 GiB, with data-parallel attention over 8 ranks
    and chunks of 1,024 tokens each 32.5 GiB.
    """
    engine = scenario.deployment.engine
    if engine.gpu_memory_utilization is not None:
        return engine.gpu_memory_utilization
    if f"{_RESERVED}_base" not in subject("engines", engine.name):
        return number("engines", engine.name, "gpu_memory_utilization")
    total = number("gpus", scenario.hardware.gpu, "visible_memory_gib") * GIB
    return 1.0 - _reserved_mib(scenario) * MIB / total


def _reserved_mib(scenario: Scenario) -> float:
    engine, layout = scenario.deployment.engine, scenario.deployment.layout

    def fact(name: str) -> float:
        return number("engines", engine.name, name)

    ranks = layout.data_parallel_size
    gpus = layout.tensor_parallel_size * ranks * layout.pipeline_parallel_size
    wide = layout.tensor_parallel_size * ranks >= fact("graph_wide_from_gpus")
    graph_batch = fact("graph_max_sequences_wide" if wide else "graph_max_sequences")
    mib = fact(f"{_RESERVED}_base")
    # SGLang sizes this by the chunk of all ranks, before it divides it among them.
    chunk = max(float(engine.max_num_batched_tokens * ranks), fact("auto_least_chunk_tokens"))
    mib += chunk * fact(f"{_RESERVED}_per_chunk_token")
    mib += graph_batch * fact(f"{_RESERVED}_per_graph_sequence")
    mib += gpus * fact(f"{_RESERVED}_per_gpu")
    if ranks > 1:
        mib += graph_batch * ranks * fact(f"{_RESERVED}_per_graph_sequence_and_rank")
        if graph_batch > fact("auto_large_graph_sequences"):
            mib += graph_batch * ranks * fact(f"{_RESERVED}_per_large_graph_sequence_and_rank")
    return max(mib, fact(f"{_RESERVED}_least"))
