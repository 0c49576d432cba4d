"""KV on its way from a prefill to a decode rank: bytes of a token, and what the cards of a rank carry."""

from __future__ import annotations

from sim.catalog.tables import number
from sim.engine.pools import TransferPlan
from sim.llm.kvcache import kv_sequence_bytes, kv_token_bytes
from sim.llm.layout import Layout
from sim.scenario.scenario import Scenario
from sim.simulation.engine import node_of
from sim.simulation.memory import Planned
from sim.units import GB, MILLISECOND


def transfer_plan(scenario: Scenario, prefill: Planned, decode: Planned) -> TransferPlan:
    """Bytes and rates of a disaggregated scenario.

    Each GPU has its share of the cards of its node, and a rank those of its GPUs. `per_gpu` sends to every GPU of the
    decode rank what it stores: with a cache that is copied to all of them, as many copies, side by side, so one
    transfer takes the bytes of one GPU over the cards of one GPU. SGLang does this: every decode rank of tensor
    parallelism has its own receiver. Draft pools are part of it where drafts are loaded.

    Checked: GLM-5.2, 1,000 tokens in BF16 (92,628 bytes each) to TP8 at 0.475 of one 50 GB/s card per GPU: 3.9 ms.
    """
    pools = scenario.deployment.disaggregation
    assert pools is not None
    memory = decode.memory
    if pools.transfer.kv_copies == "one":
        whole = kv_token_bytes(
            decode.spec, memory.kv_cache_dtype, indexer_policy=memory.indexer_policy, draft=memory.load_mtp
        )
        per_token, per_sequence = whole.total_bytes, kv_sequence_bytes(decode.spec, memory.kv_cache_dtype)
    else:
        gpus = _gpus(decode.layout)
        per_token, per_sequence = memory.kv_token_bytes.total_bytes * gpus, memory.kv_sequence_bytes * gpus
    card = gpu_card_bytes_per_s(scenario)
    return TransferPlan(
        bytes_per_token=per_token,
        bytes_per_sequence=per_sequence,
        send_bytes_per_s=card * _gpus(prefill.layout),
        receive_bytes_per_s=card * _gpus(decode.layout),
        latency_s=transfer_latency_ms(scenario) * MILLISECOND,
    )


def gpu_card_bytes_per_s(scenario: Scenario) -> float:
    """What KV transfer reaches over one GPU's share of the network cards of its node."""
    node = node_of(scenario)
    cards = number("nodes", node, "nics") / number("nodes", node, "gpus_per_node")
    return cards * number("nodes", node, "nic_gb_per_s") * GB * efficiency_frac(scenario)


def efficiency_frac(scenario: Scenario) -> float:
    """Share of the cards' rate that a transfer reaches: the scenario's, or the catalog's for the engine."""
    pools = scenario.deployment.disaggregation
    assert pools is not None
    chosen = pools.transfer.bandwidth_efficiency_frac
    return number("engines", pools.prefill.engine.name, "kv_transfer_efficiency_frac") if chosen is None else chosen


def transfer_latency_ms(scenario: Scenario) -> float:
    """Time of a transfer that does not depend on its size: the scenario's, or the catalog's for the engine."""
    pools = scenario.deployment.disaggregation
    assert pools is not None
    chosen = pools.transfer.latency_ms
    return number("engines", pools.prefill.engine.name, "kv_transfer_latency_ms") if chosen is None else chosen


def reserved_decode_tokens(scenario: Scenario) -> int:
    """Room kept free for each request on a decode rank: the scenario's, or the catalog's for the engine."""
    pools = scenario.deployment.disaggregation
    assert pools is not None
    chosen = pools.num_reserved_decode_tokens
    return int(number("engines", pools.decode.engine.name, "num_reserved_decode_tokens")) if chosen is None else chosen


def _gpus(layout: Layout) -> int:
    """GPUs of one attention rank; groups that divide prompts have a copy of the cache each, and send parts of it."""
    return layout.tensor_parallel_size * layout.pipeline_parallel_size * layout.prefill_context_parallel_size
