"""KV tiers below the GPU, resolved from a scenario.

Host memory and links of a node are divided among its GPUs: each GPU has a PCIe link of its own. Every GPU of a rank
keeps its part of the KV in host memory, and where a latent is copied to all tensor ranks it is copied there too, since
each tensor rank's process has a host pool of its own (SGLang's HiCache, vLLM's offloading). The remote pool keeps one
copy, which one of the tensor ranks writes and all of them read.
"""

from __future__ import annotations

from typing import Final

from sim.catalog.tables import number
from sim.engine.tier_plan import HostPlan, RemotePlan
from sim.errors import ScenarioError
from sim.llm.kvcache import kv_token_gpu_bytes
from sim.llm.layout import Layout
from sim.scenario.scenario import Scenario
from sim.simulation.engine import node_of
from sim.simulation.memory import Planned
from sim.units import GB, GIB, MILLISECOND, TIB

HOST_ROWS: Final = {
    "capacity_gib": "host_kv_gib",
    "read_gb_per_s": "host_read_gb_per_s",
    "write_gb_per_s": "host_write_gb_per_s",
}
REMOTE_ROWS: Final = {"gb_per_s": "remote_kv_gb_per_s", "latency_ms": "remote_kv_latency_ms"}


def host_plan(scenario: Scenario, planned: Planned) -> HostPlan | None:
    """The host tier of one attention rank, if there is one.

    Raises
    ------
    ScenarioError : it does not hold a block.
    """
    engine = scenario.deployment.engine
    section = engine.host_cache
    if section is None:
        return None
    nodes = _nodes_per_rank(planned.layout)
    token_bytes = _token_bytes(planned)
    chosen = {key: _chosen(scenario, getattr(section, key), row) for key, row in HOST_ROWS.items()}
    blocks = int(chosen["capacity_gib"] * GIB * nodes // (token_bytes * engine.block_size))
    _check_blocks(scenario, blocks, "deployment.engine.host_cache.capacity_gib", chosen["capacity_gib"])
    return HostPlan(
        num_blocks=blocks,
        token_bytes=token_bytes,
        read_bytes_per_s=chosen["read_gb_per_s"] * GB * nodes,
        write_bytes_per_s=chosen["write_gb_per_s"] * GB * nodes,
        max_write_backlog_s=section.max_write_backlog_s,
        swap=engine.preemption_mode == "swap",
    )


def remote_plan(scenario: Scenario, planned: Planned) -> RemotePlan | None:
    """The remote pool as one attention rank sees it, if there is one.

    Raises
    ------
    ScenarioError : it does not hold a block.
    """
    section = scenario.deployment.remote_cache
    if section is None:
        return None
    once_bytes = _token_bytes_once(planned)
    blocks = int(section.capacity_tib * TIB // (once_bytes * scenario.deployment.engine.block_size))
    _check_blocks(scenario, blocks, "deployment.remote_cache.capacity_tib", section.capacity_tib)
    chosen = {key: _chosen(scenario, getattr(section, key), row) for key, row in REMOTE_ROWS.items()}
    return RemotePlan(
        num_blocks=blocks,
        read_token_bytes=_token_bytes(planned),
        write_token_bytes=once_bytes,
        bytes_per_s=chosen["gb_per_s"] * GB * _nodes_per_rank(planned.layout),
        latency_s=chosen["latency_ms"] * MILLISECOND,
        max_write_backlog_s=section.max_write_backlog_s,
    )


def unused_rows(scenario: Scenario) -> tuple[str, ...]:
    """Rows of a node type that a scenario does not rest on, because it has no such tier or says otherwise."""
    deployment = scenario.deployment
    tiers = (deployment.engine.host_cache, HOST_ROWS), (deployment.remote_cache, REMOTE_ROWS)
    return tuple(
        row
        for section, rows in tiers
        for key, row in rows.items()
        if section is None or getattr(section, key) is not None
    )


def _rank_gpus(layout: Layout) -> int:
    return layout.tensor_parallel_size * layout.pipeline_parallel_size


def _nodes_per_rank(layout: Layout) -> float:
    """Nodes' worth of GPUs in one attention rank."""
    return _rank_gpus(layout) / layout.gpus_per_node


def _token_bytes(planned: Planned) -> float:
    """Bytes of one token on all GPUs of a rank, copies included."""
    return planned.memory.kv_token_bytes.total_bytes * _rank_gpus(planned.layout)


def _token_bytes_once(planned: Planned) -> float:
    """Bytes of one token without copies."""
    memory = planned.memory
    return kv_token_gpu_bytes(
        planned.spec,
        Layout(gpus_per_node=planned.layout.gpus_per_node),
        memory.kv_cache_dtype,
        indexer_policy=memory.indexer_policy,
        draft=memory.load_mtp,
    ).total_bytes


def _chosen(scenario: Scenario, value: float | None, row: str) -> float:
    return number("nodes", node_of(scenario), row) if value is None else value


def _check_blocks(scenario: Scenario, blocks: int, key: str, value: float) -> None:
    if blocks < 1:
        raise ScenarioError(
            "does not hold a single KV block of one attention rank", key=key, value=value, file=scenario.file
        )
