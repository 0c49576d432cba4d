"""Figures of the two pools of a disaggregated scenario: how busy, how full, what lay between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sim.engine.cluster import Outcome
from sim.engine.plan import ClusterPlan, EngineLimits
from sim.engine.pool_totals import PoolTotals
from sim.simulation.infeasible import Infeasible
from sim.study.metric import Metric
from sim.study.rates import Rate
from sim.study.window import Window

DECODE_SHARE = 0.5  # of the waiting requests; from there on, or from
STALLED_FRAC = 0.05  # of the prefill pool's time on, the decode pool is what a load above capacity waits for


@dataclass(frozen=True, slots=True)
class PoolWindow:
    """Counters of the pools in the measured window, and what was there to count on.

    Attributes
    ----------
    window : that of the whole cluster.
    totals : counters of the pools.
    prefill_replicas, decode_replicas, prefill_nodes, decode_nodes, prefill_ranks, decode_ranks : in service.
    prefill_kv_tokens, decode_kv_tokens : tokens that the cache of one replica holds.
    """

    window: Window
    totals: PoolTotals
    prefill_replicas: int
    decode_replicas: int
    prefill_nodes: int
    decode_nodes: int
    prefill_ranks: int
    decode_ranks: int
    prefill_kv_tokens: int
    decode_kv_tokens: int

    @property
    def prefill_s(self) -> float:
        """Replica-seconds of the prefill pool."""
        return self.window.seconds * self.prefill_replicas

    @property
    def decode_s(self) -> float:
        """Replica-seconds of the decode pool."""
        return self.window.seconds * self.decode_replicas

    @property
    def prefill_kv_token_s(self) -> float:
        """What the caches of the prefill pool could have held, out of service left out."""
        return self.prefill_kv_tokens * (self.prefill_s - self.totals.prefill_down_s)

    @property
    def decode_kv_token_s(self) -> float:
        """What the caches of the decode pool could have held, out of service left out."""
        return self.decode_kv_tokens * (self.decode_s - self.totals.decode_down_s)


def pool_windows(outcomes: Sequence[Outcome], windows: Sequence[Window], plan: ClusterPlan) -> list[PoolWindow]:
    """One for each replication; none where replicas do both."""
    decode = plan.decode
    found = []
    for outcome, window in zip(outcomes, windows, strict=True):
        if outcome.pools is None or decode is None:
            return []
        record, pools = outcome.record, outcome.pools
        opened = record.measuring and record.warmup_s > 0.0
        found.append(
            PoolWindow(
                window,
                pools.totals.since(pools.opened) if opened else pools.totals,
                plan.replicas,
                decode.replicas,
                plan.replicas * plan.nodes_per_replica,
                decode.replicas * decode.nodes_per_replica,
                plan.replicas * plan.limits.data_parallel_size,
                decode.replicas * decode.limits.data_parallel_size,
                kv_tokens(plan.limits),
                kv_tokens(decode.limits),
            )
        )
    return found


def kv_tokens(limits: EngineLimits) -> int:
    """Tokens that the cache of one replica holds."""
    return limits.num_kv_blocks * limits.block_size * limits.data_parallel_size


POOL_RATES: tuple[Rate, ...] = (
    Rate("prefill_occupied_frac", "fraction", lambda p: p.totals.prefill_busy_s, lambda p: p.prefill_s),
    Rate("decode_occupied_frac", "fraction", lambda p: p.totals.decode_busy_s, lambda p: p.decode_s),
    Rate("prefill_stalled_frac", "fraction", lambda p: p.totals.stalled_s, lambda p: p.prefill_s),
    Rate(
        "prefill_kv_used_mean_frac", "fraction", lambda p: p.totals.prefill_kv_token_s, lambda p: p.prefill_kv_token_s
    ),
    Rate("prefill_kv_held_frac", "fraction", lambda p: p.totals.held_token_s, lambda p: p.prefill_kv_token_s),
    Rate("decode_kv_used_mean_frac", "fraction", lambda p: p.totals.decode_kv_token_s, lambda p: p.decode_kv_token_s),
    Rate("decode_waiting_mean", "requests", lambda p: p.totals.decode_waiting_s, lambda p: p.window.seconds),
    Rate("kv_send_busy_frac", "fraction", lambda p: p.totals.send_s, lambda p: p.prefill_ranks * p.window.seconds),
    Rate("kv_receive_busy_frac", "fraction", lambda p: p.totals.receive_s, lambda p: p.decode_ranks * p.window.seconds),
    Rate(
        "kv_transferred_bytes_per_request",
        "bytes",
        lambda p: p.totals.transferred_bytes,
        lambda p: p.totals.transfers,
        "nothing was transferred",
    ),
    Rate(
        "sent_back_per_request",
        "requests",
        lambda p: p.totals.sent_back,
        lambda p: p.window.totals.completed,
        "no request completed",
    ),
    Rate("prefill_available_frac", "fraction", lambda p: p.prefill_s - p.totals.prefill_down_s, lambda p: p.prefill_s),
    Rate("decode_available_frac", "fraction", lambda p: p.decode_s - p.totals.decode_down_s, lambda p: p.decode_s),
)


def pool_metrics(option: str, pools: Sequence[PoolWindow]) -> Iterator[Metric]:
    """Every figure of the pools, with its interval; nothing where replicas do both."""
    for rate in POOL_RATES if pools else ():
        yield Metric.of(option, rate.metric, rate.unit, rate.estimate(pools))


def pools_by_replication(pools: Sequence[PoolWindow]) -> dict[str, list[float]]:
    """The same, one value per replication."""
    return {rate.metric: rate.by_replication(pools) for rate in POOL_RATES} if pools else {}


def limiting_pool(pools: Sequence[PoolWindow]) -> str:
    """`decode` when most waiting requests wait for it, or prompts stall because it takes nothing; else `prefill`."""
    waiting_s = sum(pool.window.totals.waiting_s for pool in pools)
    decode_s = sum(pool.totals.decode_waiting_s for pool in pools)
    stalled_s = sum(pool.totals.stalled_s for pool in pools)
    late = decode_s > DECODE_SHARE * waiting_s
    return "decode" if late or stalled_s > STALLED_FRAC * sum(pool.prefill_s for pool in pools) else "prefill"


def blamed(reason: Infeasible, pools: Sequence[PoolWindow]) -> Infeasible:
    """A load above capacity, with the pool that it waits for."""
    name = limiting_pool(pools)
    first = pools[0]
    count = first.decode_replicas if name == "decode" else first.prefill_replicas
    return replace(
        reason,
        problem=f"{reason.problem} The {name} pool is what it waits for.",
        smallest=f"More than {count} {name} replica{'s' if count > 1 else ''}, or less load.",
    )
