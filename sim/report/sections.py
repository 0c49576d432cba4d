"""Which figures stand together in a report, by what they tell, and under which words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sim.report.figures import Figure, metric_figure
from sim.study.fault_figures import PREFIX, WAKE
from sim.study.metric import Metric
from sim.study.result import Result
from sim.study.tenants import OPTION as TENANT

LATENCIES: Final = (
    ("ttft", "TTFT", "time to first token"),
    ("tpot", "TPOT", "mean time per output token after the first, by request"),
    ("itl", "ITL", "gap between successive tokens, all gaps pooled"),
    ("e2el", "E2EL", "end-to-end latency"),
    ("queue", "Queue", "wait until the engine takes the request up"),
    ("decode_wait", "Decode wait", "wait of a computed prompt until a decode rank has room for it"),
    ("kv_transfer", "KV transfer", "from then until its KV is there"),
)
STATISTICS: Final = ("mean", "p50", "p90", "p95", "p99")
THROUGHPUT: Final = (
    ("request_throughput_rps", "Completed"),
    ("goodput_rps", "Goodput (within the service level)"),
    ("slo_attainment_frac", "Requests within the service level"),
    ("output_throughput_tokens_per_s", "Output"),
    ("output_throughput_tokens_per_s_per_gpu", "Output per GPU"),
    ("input_throughput_tokens_per_s", "Input"),
    ("total_throughput_tokens_per_s", "Input and output"),
)
UTILISATION: Final = (
    ("utilisation_sm_active_frac", "SM-active"),
    ("utilisation_occupied_frac", "Occupied time"),
    ("utilisation_delivered_frac", "Delivered / capacity"),
    ("utilisation_reserved_frac", "Reserved / purchased"),
    ("prefill_step_frac", "Busy time with prompts"),
    ("pipeline_bubble_frac", "Busy time in which a pipeline stage waits"),
    ("node_power_mean_kw", "Mean power of a node"),
)
PRESSURE: Final = (
    ("running_seqs_mean", "Running sequences, mean per replica"),
    ("waiting_mean", "Waiting requests, mean per replica"),
    ("kv_used_mean_frac", "KV cache: tokens stored, mean"),
    ("kv_used_max_frac", "KV cache: tokens stored, highest"),
    ("prefix_hit_frac", "Prompt tokens found in the prefix cache"),
    ("prefix_hit_gpu_frac", "Prompt tokens found on the GPU"),
    ("prefix_hit_host_frac", "Prompt tokens found in host memory (cpu)"),
    ("prefix_hit_remote_frac", "Prompt tokens found in the remote pool (external)"),
    ("preemptions_per_request", "Preemptions per completed request"),
)
POOLS: Final = (
    ("prefill_occupied_frac", "Prefill: occupied time"),
    ("prefill_stalled_frac", "Prefill: prompts wait, decode takes nothing"),
    ("prefill_kv_used_mean_frac", "Prefill: KV stored, mean"),
    ("prefill_kv_held_frac", "Prefill: KV of computed prompts, mean"),
    ("decode_occupied_frac", "Decode: occupied time"),
    ("decode_kv_used_mean_frac", "Decode: KV stored, mean"),
    ("decode_waiting_mean", "Decode: requests waiting for room, mean"),
    ("sent_back_per_request", "Decode: sent back for lack of room, per request"),
    ("kv_transferred_bytes_per_request", "KV sent per request"),
    ("kv_send_busy_frac", "Cards of prefill ranks sending"),
    ("kv_receive_busy_frac", "Cards of decode ranks receiving"),
    ("prefill_available_frac", "Prefill replicas available"),
    ("decode_available_frac", "Decode replicas available"),
)
FAILURES: Final = (
    ("available_frac", "Replicas available"),
    ("node_faults", "Node faults"),
    ("killed_requests", "Requests killed by faults"),
    ("lost_tokens_frac", "Generated tokens lost"),
)
WHERE_IT_APPLIES: Final = {"pipeline_bubble_frac"}  # rows without which a report is complete
FATES: Final = ("completed", "failed", "refused", "abandoned", "unfinished")
EFFORTS: Final = {
    "measured": ("measured (in the latencies)", "measured (in the latencies)"),
    "retries": ("retry", "retries"),
    "timeouts": ("timeout", "timeouts"),
    "killed": ("killed by faults", "killed by faults"),
    "throttled": ("attempt turned away by tenant limits", "attempts turned away by tenant limits"),
    "preemptions": ("preemption", "preemptions"),
    "node_faults": ("node fault", "node faults"),
    "sessions_started": ("session started", "sessions started"),
    "sessions_completed": ("session completed", "sessions completed"),
    "sessions_abandoned": ("session abandoned", "sessions abandoned"),
    "sessions_unfinished": ("session unfinished", "sessions unfinished"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One named figure."""

    name: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """One latency with its statistics, in the order of `STATISTICS`."""

    name: str
    meaning: str
    figures: tuple[Figure, ...]


def metrics_of(result: Result) -> dict[str, Metric]:
    """Figures of the scenario itself by name; those of pay options and of single tenants are left out."""
    own = [item for item in result.metrics if not item.metric.startswith("cost_")]
    return {item.metric: item for item in own if not item.option.startswith(TENANT)}


def latency_rows(result: Result) -> list[LatencyRow]:
    """The latency table; a latency that the result does not hold has no row."""
    known = metrics_of(result)
    rows = []
    for stem, name, meaning in LATENCIES:
        found = [known.get(f"{stem}_{statistic}_s") for statistic in STATISTICS]
        if any(item is not None for item in found):
            figures = (
                Figure("n/a", note="it was not computed") if item is None else metric_figure(item) for item in found
            )
            rows.append(LatencyRow(name, meaning, tuple(figures)))
    return rows


def rows_of(result: Result, wanted: Sequence[tuple[str, str]]) -> list[Row]:
    """Those of the wanted figures that the result holds."""
    known = metrics_of(result)
    rows = [
        Row(words, metric_figure(known[name]))
        for name, words in wanted
        if name in known and (known[name].value is not None or name not in WHERE_IT_APPLIES)
    ]
    return [*rows, *_by_cause(known)] if wanted is FAILURES else rows


def _by_cause(known: Mapping[str, Metric]) -> Iterator[Row]:
    """Time that replicas spent in each condition because of each class of faults."""
    for condition in WAKE:
        for name, metric in known.items():
            if name.startswith(f"{condition}_"):
                cause = _words_of(name.removeprefix(f"{condition}_").removesuffix("_s"))
                yield Row(f"Replica time {condition}, {cause}, per run", metric_figure(metric))


def warnings_of(result: Result) -> list[str]:
    """Warnings, without the one that the verdict already gives."""
    said = "" if result.infeasible is None else str(result.infeasible)
    return [warning for warning in result.warnings if warning != said]


def fates(result: Result) -> str:
    """Where the requests went, as they must stand beside every percentile."""
    counts = result.counts
    attempted = counts.get("attempted", counts.get("arrived", 0))
    parts = ", ".join(f"{counts[name]:,} {name}" for name in FATES if name in counts)
    return f"{attempted:,} attempted = {parts} (warm-up included)" if parts else f"{attempted:,} attempted"


def efforts(result: Result) -> str:
    """What happened on the way."""
    said = [
        f"{result.counts[name]:,} {_noun(result.counts[name], *EFFORTS[name])}"
        for name in EFFORTS
        if name in result.counts
    ]
    causes = [
        f"{count:,} {_words_of(name.removeprefix(PREFIX))}"
        for name, count in result.counts.items()
        if name.startswith(PREFIX)
    ]
    return ", ".join(said) + (f". Faults by class: {', '.join(causes)}" if causes else "")


def _words_of(cause: str) -> str:
    return cause.replace("_", " ")


def _noun(count: int, one: str, many: str) -> str:
    return one if count == 1 else many
