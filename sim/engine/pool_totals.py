"""Exact counters of the two pools of a disaggregated cluster, beside those of the whole cluster."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class PoolTotals:
    """Counters and integrals since the start of the run; a window is the difference of two copies.

    Attributes
    ----------
    transfers, transferred_bytes, transferred_tokens : KV that arrived at a decode rank.
    aborted : transfers given up because the decode rank needed the room; the KV stayed where it was.
    sent_back : decoding requests that were preempted and went back to be prefilled.
    send_s, receive_s : rank-seconds in which the cards of prefill ranks sent, and those of decode ranks received.
    prefill_busy_s, decode_busy_s : replica-seconds stepping.
    prefill_down_s, decode_down_s : replica-seconds out of service.
    prefill_kv_token_s, decode_kv_token_s : stored tokens x seconds.
    stalled_s : replica-seconds of prefill replicas with requests waiting and nothing to compute, because the KV of
        requests that no decode rank has taken yet fills the cache.
    held_token_s : of `prefill_kv_token_s`, tokens of requests whose prefill is over.
    decode_waiting_s : requests in the queues of decode ranks x seconds.
    """

    transfers: int = 0
    transferred_bytes: float = 0.0
    transferred_tokens: int = 0
    aborted: int = 0
    sent_back: int = 0
    send_s: float = 0.0
    receive_s: float = 0.0
    prefill_busy_s: float = 0.0
    decode_busy_s: float = 0.0
    prefill_down_s: float = 0.0
    decode_down_s: float = 0.0
    prefill_kv_token_s: float = 0.0
    decode_kv_token_s: float = 0.0
    stalled_s: float = 0.0
    held_token_s: float = 0.0
    decode_waiting_s: float = 0.0

    def copy(self) -> PoolTotals:
        """A frozen-in-time copy."""
        return PoolTotals(*(getattr(self, field.name) for field in fields(self)))

    def since(self, earlier: PoolTotals) -> PoolTotals:
        """Counters of the window that began at `earlier`."""
        return PoolTotals(*(getattr(self, field.name) - getattr(earlier, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class PoolOutcome:
    """What one run leaves behind of its two pools.

    Attributes
    ----------
    totals, opened : counters at the end of the run, and at the end of the warm-up.
    prefill_peak_tokens, decode_peak_tokens : most tokens stored on one replica at a step boundary, since the warm-up.
    """

    totals: PoolTotals
    opened: PoolTotals
    prefill_peak_tokens: int
    decode_peak_tokens: int
