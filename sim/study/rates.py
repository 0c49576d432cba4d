"""Throughput, goodput, utilisation, KV pressure and failures, as ratios of totals over the measured window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sim.stats.estimate import Estimate
from sim.stats.ratio import ratio_interval
from sim.study.metric import Metric
from sim.study.window import Window
from sim.units import HOUR_S

Total = Callable[[Any], float]  # of one window: that of a cluster, or of its pools


@dataclass(frozen=True, slots=True)
class Rate:
    """One figure as a ratio of two totals.

    Attributes
    ----------
    metric, unit : name and unit.
    top, bottom : totals of one window.
    nothing : why there is no figure when the bottom is zero.
    of_tiers : whether it means something only where there are KV tiers below the GPU.
    of_scaling : whether it means something only where replicas come and go.
    """

    metric: str
    unit: str
    top: Total
    bottom: Total
    nothing: str = "nothing was measured"
    of_tiers: bool = False
    of_scaling: bool = False

    def estimate(self, windows: Sequence[Any]) -> Estimate:
        """The pooled ratio with its interval over replications."""
        tops = [float(self.top(window)) for window in windows]
        bottoms = [float(self.bottom(window)) for window in windows]
        kept = [(top, bottom) for top, bottom in zip(tops, bottoms, strict=True) if bottom > 0.0]
        if not kept:
            return Estimate(None, note=self.nothing)
        return ratio_interval([top for top, _ in kept], [bottom for _, bottom in kept])

    def by_replication(self, windows: Sequence[Any]) -> list[float]:
        """One value per replication; NaN where the bottom is zero."""
        return [
            float(self.top(window)) / bottom if (bottom := float(self.bottom(window))) > 0.0 else float("nan")
            for window in windows
        ]


def _seconds(window: Window) -> float:
    return window.seconds


def _replica_seconds(window: Window) -> float:
    return window.seconds * window.replicas - window.totals.off_s


def _gpu_seconds(window: Window) -> float:
    return window.seconds * window.gpus


def _up_seconds(window: Window) -> float:
    totals = window.totals
    return totals.busy_s + totals.idle_s + totals.hung_s + totals.paused_s


def _looked_up(window: Window) -> float:
    return window.totals.admitted_prompt_tokens


NO_LOOKUP = "no prompt was looked up in a prefix cache"

RATES: tuple[Rate, ...] = (
    Rate("request_throughput_rps", "requests/s", lambda w: w.totals.completed, _seconds),
    Rate("output_throughput_tokens_per_s", "tokens/s", lambda w: w.totals.delivered_tokens, _seconds),
    Rate("input_throughput_tokens_per_s", "tokens/s", lambda w: w.totals.input_tokens_completed, _seconds),
    Rate(
        "total_throughput_tokens_per_s",
        "tokens/s",
        lambda w: w.totals.delivered_tokens + w.totals.input_tokens_completed,
        _seconds,
    ),
    Rate("output_throughput_tokens_per_s_per_gpu", "tokens/s/GPU", lambda w: w.totals.delivered_tokens, _gpu_seconds),
    Rate("goodput_rps", "requests/s", lambda w: w.totals.good, _seconds),
    Rate("good_output_tokens_per_s", "tokens/s", lambda w: w.totals.good_tokens, _seconds),
    Rate("slo_attainment_frac", "fraction", lambda w: w.totals.good, lambda w: w.ended, "no request ended"),
    Rate("running_seqs_mean", "sequences", lambda w: w.totals.sequence_s, _replica_seconds),
    Rate("waiting_mean", "requests", lambda w: w.totals.waiting_s, _replica_seconds),
    Rate("kv_used_mean_frac", "fraction", lambda w: w.totals.kv_token_s, lambda w: w.kv_tokens * _up_seconds(w)),
    Rate(
        "preemptions_per_request",
        "preemptions",
        lambda w: w.totals.preemptions,
        lambda w: w.totals.completed,
        "no request completed",
    ),
    Rate(
        "prefix_hit_frac",
        "fraction",
        lambda w: w.totals.cached_prompt_tokens + w.totals.host_tokens + w.totals.remote_tokens,
        _looked_up,
        NO_LOOKUP,
    ),
    Rate(
        "prefix_hit_gpu_frac", "fraction", lambda w: w.totals.cached_prompt_tokens, _looked_up, NO_LOOKUP, of_tiers=True
    ),
    Rate("prefix_hit_host_frac", "fraction", lambda w: w.totals.host_tokens, _looked_up, NO_LOOKUP, of_tiers=True),
    Rate("prefix_hit_remote_frac", "fraction", lambda w: w.totals.remote_tokens, _looked_up, NO_LOOKUP, of_tiers=True),
    Rate("occupied_frac", "fraction", lambda w: w.totals.busy_s, _replica_seconds),
    Rate("prefill_step_frac", "fraction", lambda w: w.totals.prefill_step_s, lambda w: w.totals.busy_s),
    Rate(
        "pipeline_bubble_frac",
        "fraction",
        lambda w: w.totals.bubble_s,
        lambda w: w.totals.busy_s if w.totals.bubble_s > 0.0 else 0.0,
        "the layout has no pipeline stages",
    ),
    Rate(
        "available_frac",
        "fraction",
        lambda w: _replica_seconds(w) - w.totals.down_s - w.totals.hung_s - w.totals.paused_s,
        _replica_seconds,
    ),
    Rate("billed_gpus_mean", "GPUs", lambda w: w.totals.billed_s * w.gpus / w.replicas, _seconds, of_scaling=True),
    Rate(
        "gpu_hours",
        "GPU h",
        lambda w: w.totals.billed_s * w.gpus / w.replicas / HOUR_S,
        lambda w: float(w.seconds > 0.0),
        of_scaling=True,
    ),
    Rate(
        "lost_tokens_frac",
        "fraction",
        lambda w: w.totals.lost_tokens,
        lambda w: w.totals.emitted_tokens,
        "no token was generated",
    ),
)


def rate_metrics(option: str, windows: Sequence[Window]) -> Iterator[Metric]:
    """Every rate, with its interval."""
    for rate in _rates_of(windows):
        yield Metric.of(option, rate.metric, rate.unit, rate.estimate(windows))


def rates_by_replication(windows: Sequence[Window]) -> dict[str, list[float]]:
    """Every rate, one value per replication."""
    return {rate.metric: rate.by_replication(windows) for rate in _rates_of(windows)}


def _rates_of(windows: Sequence[Window]) -> list[Rate]:
    tiers = any(window.tiers for window in windows)
    scales = any(window.scales for window in windows)
    return [rate for rate in RATES if (tiers or not rate.of_tiers) and (scales or not rate.of_scaling)]
