"""What the engine is given for a cluster whose prompts are prefilled in one pool of replicas and decoded in another."""

from __future__ import annotations

from dataclasses import dataclass

from sim.engine.plan import EngineLimits


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """How the KV of a prompt gets from a prefill rank to a decode rank.

    Every attention rank has its own network cards, those of its GPUs: transfers from or to the same rank share them,
    those of different ranks do not meet.

    Attributes
    ----------
    bytes_per_token, bytes_per_sequence : what crosses the fabric for one stored token, and once per request.
    send_bytes_per_s, receive_bytes_per_s : what one prefill rank can send, and one decode rank can receive.
    latency_s : added to each transfer; it occupies no card.
    """

    bytes_per_token: float
    send_bytes_per_s: float
    receive_bytes_per_s: float
    latency_s: float = 0.0
    bytes_per_sequence: float = 0.0


@dataclass(frozen=True, slots=True)
class DecodePool:
    """The replicas that decode, beside those of `ClusterPlan` that prefill.

    Attributes
    ----------
    limits : of one decode replica; without prefix caching, since it computes no prompt.
    replicas, nodes_per_replica : as in `ClusterPlan`.
    transfer : how KV arrives.
    num_reserved_decode_tokens : room that a rank keeps free for each request it already holds before it admits another
        one (SGLang's flag); an empty rank admits any.
    """

    limits: EngineLimits
    replicas: int
    nodes_per_replica: int
    transfer: TransferPlan
    num_reserved_decode_tokens: int = 0
