"""KV tiers below the GPU: host memory of the nodes, and a pool of the whole cluster."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.scenario.section import Seconds, Section

Bandwidth = Annotated[float, Field(strict=True, gt=0.0, le=100_000.0)]
"""Gigabytes a second, above zero."""


class HostCacheSection(Section):
    """Host memory that keeps KV evicted from the GPUs (SGLang's HiCache, vLLM's KV offloading)."""

    capacity_gib: Annotated[float, Field(strict=True, gt=0.0, le=1_000_000.0)] | None = None
    """Host memory of a node for KV, divided among its GPUs; without it, the catalog's for the node type."""
    read_gb_per_s: Bandwidth | None = None
    """From host to GPUs, all GPUs of a node together; without it, the catalog's for the node type."""
    write_gb_per_s: Bandwidth | None = None
    """From GPUs to host, all GPUs of a node together; without it, the catalog's for the node type."""
    max_write_backlog_s: Seconds = 1.0
    """Evicted blocks are given up while what is queued takes longer than this to be written."""


class RemoteCacheSection(Section):
    """One pool of KV blocks for the whole cluster (Mooncake Store, LMCache, HiCache storage back ends)."""

    capacity_tib: Annotated[float, Field(strict=True, gt=0.0, le=1_000_000.0)]
    """Capacity of the pool; a block is kept once."""
    gb_per_s: Bandwidth | None = None
    """Between a node and the pool, in each direction; without it, the catalog's for the node type."""
    latency_ms: Annotated[float, Field(strict=True, ge=0.0, le=100_000.0)] | None = None
    """Of one transfer; without it, the catalog's for the node type."""
    max_write_backlog_s: Seconds = 1.0
    """Evicted blocks are given up while what is queued takes longer than this to be written."""
