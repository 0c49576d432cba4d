"""What a scenario leaves to the engine's defaults: weights, node type, cache layout, memory reserve."""

from __future__ import annotations

from sim.catalog.tables import fact, number, table
from sim.errors import ScenarioError
from sim.llm.formats import format_names
from sim.llm.kvcache import IndexerPolicy, index_entry_bytes, layer_entry_bytes
from sim.llm.spec import ModelSpec
from sim.scenario.scenario import Scenario
from sim.units import GIB

FOLLOWS_CHECKPOINT = "checkpoint"


def weights_of(scenario: Scenario, spec: ModelSpec) -> str:
    """The weight format: the scenario's, or that of the model's configuration."""
    chosen = scenario.model.weights
    if chosen == "auto":
        return spec.native_weights
    if chosen not in format_names():
        raise ScenarioError(
            "is no weight format",
            key="model.weights",
            value=chosen,
            valid="auto, " + ", ".join(format_names()),
            file=scenario.file,
        )
    return chosen


def node_of(scenario: Scenario) -> str:
    """The node type: the scenario's, or the usual one for its GPU."""
    chosen = scenario.hardware.node
    if chosen != "auto":
        return chosen
    return str(fact("gpus", scenario.hardware.gpu, "node").value)


def check_hardware(scenario: Scenario) -> None:
    """Refuse GPUs and nodes that the catalog does not have, naming the key.

    Raises
    ------
    ScenarioError : unknown GPU or node type, or a node that holds other GPUs.
    """
    gpus, nodes = table("gpus"), table("nodes")
    chosen = scenario.hardware
    for key, name, known in (("gpu", chosen.gpu, gpus), ("node", chosen.node, nodes)):
        if name not in known and not (key == "node" and name == "auto"):
            raise ScenarioError(
                "is not in the catalog",
                key=f"hardware.{key}",
                value=name,
                valid=", ".join(known),
                file=scenario.file,
            )
    holds = str(fact("nodes", node_of(scenario), "gpu").value)
    if holds != chosen.gpu:
        raise ScenarioError(
            f"holds {holds}, not {chosen.gpu}", key="hardware.node", value=chosen.node, file=scenario.file
        )


def kv_cache_dtype(scenario: Scenario, spec: ModelSpec) -> str:
    """The cache layout: the scenario's, or the engine's default.

    An engine that follows the checkpoint keeps an FP8 cache for quantised weights, as their checkpoints ask for it.
    """
    chosen = scenario.deployment.engine.kv_cache_dtype
    if chosen != "auto":
        return chosen
    default = str(fact("engines", scenario.deployment.engine.name, "kv_cache_dtype").value)
    if default != FOLLOWS_CHECKPOINT:
        return default
    return "bf16" if weights_of(scenario, spec) == "bf16" else "fp8"


def indexer_policy(scenario: Scenario) -> IndexerPolicy:
    """Which layers get an indexer cache: the scenario's choice, or the engine's default."""
    chosen = scenario.deployment.engine.indexer_policy
    value = chosen if chosen != "auto" else fact("engines", scenario.deployment.engine.name, "indexer_policy").value
    return "all_layers" if value == "all_layers" else "owners"


def runtime_reserve_bytes(scenario: Scenario) -> float:
    """Memory kept for activations, graphs and buffers: the scenario's, or the engine's default for the layout."""
    chosen = scenario.deployment.engine.runtime_reserve_gib
    if chosen is not None:
        return chosen * GIB
    return number("engines", scenario.deployment.engine.name, reserve_key(scenario)) * GIB


def workspace_token_bytes(scenario: Scenario, spec: ModelSpec) -> float:
    """What vLLM sets aside on every GPU for prompts under sparse attention, per token of `max_model_len`.

    The indexer gathers keys of up to 40 contexts, and an FP8 cache is converted to BF16 for up to 5; the two take turns
    in one buffer (vLLM `get_max_prefill_buffer_size` and the FlashMLA sparse backend). For DeepSeek-V3.2 and its
    163,840 tokens 865,075,200 bytes, as a comment there says. 0 for other engines, for models without latent attention
    and indexer, and where the scenario states the whole reserve.
    """
    engine = scenario.deployment.engine
    row = table("engines")[engine.name]
    sparse = spec.attention == "mla" and spec.has_sparse_attention
    if not sparse or engine.runtime_reserve_gib is not None or "indexer_workspace_contexts" not in row:
        return 0.0
    contexts = float(row["indexer_workspace_contexts"].value)
    keys_bytes = contexts * index_entry_bytes(spec) / spec.indexer_kv_stride_tokens
    if not kv_cache_dtype(scenario, spec).startswith("fp8"):
        return keys_bytes
    return max(keys_bytes, float(row["conversion_workspace_contexts"].value) * layer_entry_bytes(spec, "bf16"))


def reserve_key(scenario: Scenario) -> str:
    """Row of the engines table with the memory that the layout's buffers take."""
    layout = scenario.deployment.layout
    if layout.data_parallel_size == 1:
        return "runtime_reserve_gib"
    return "runtime_reserve_wide_ep_gib" if layout.enable_expert_parallel else "runtime_reserve_dp_attention_gib"
