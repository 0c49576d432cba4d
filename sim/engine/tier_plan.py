"""What the engine is told about KV tiers below the GPU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostPlan:
    """Host memory of one attention rank.

    Attributes
    ----------
    num_blocks : KV blocks that it holds.
    token_bytes : bytes of one token that cross between host and the GPUs of the rank, all their copies together.
    read_bytes_per_s, write_bytes_per_s : host to GPU and back, the rank's share of its nodes.
    max_write_backlog_s : evicted blocks are given up while what is queued takes longer than this to be written.
    swap : preempted requests are moved here and come back, instead of being computed again.
    """

    num_blocks: int
    token_bytes: float
    read_bytes_per_s: float
    write_bytes_per_s: float
    max_write_backlog_s: float = 1.0
    swap: bool = False


@dataclass(frozen=True, slots=True)
class RemotePlan:
    """One pool for the whole cluster.

    Attributes
    ----------
    num_blocks : KV blocks that it holds, one copy each.
    read_token_bytes, write_token_bytes : bytes of one token over the network: a copy for every GPU that holds one, and
        one copy.
    bytes_per_s : network bandwidth of one attention rank in each direction, its share of its nodes.
    latency_s : of one transfer.
    max_write_backlog_s : as for the host.
    """

    num_blocks: int
    read_token_bytes: float
    write_token_bytes: float
    bytes_per_s: float
    latency_s: float = 0.0
    max_write_backlog_s: float = 1.0
