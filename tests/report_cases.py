"""A made-up result with everything a report shows: lognormal latencies, two pay options, an API, faults."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.measure.histogram import LogHistogram
from sim.scenario.load import parse
from sim.scenario.scenario import Scenario
from sim.simulation.infeasible import Infeasible
from sim.study.assumed import AssumedInput
from sim.study.metric import Metric
from sim.study.result import CostLine, Result

NAME = "scenario"
TOO_FEW = "too few samples for p99: 412, needs 1,000"
FIX = "The smallest that fits: 16 x h100-sxm-80gb as TP8 x PP2."
LATENCIES = {"ttft": (0.4, 0.6), "tpot": (0.045, 0.3), "itl": (0.03, 0.5), "e2el": (9.0, 0.9), "queue": (0.02, 1.2)}


def made_scenario(**changes: Any) -> Scenario:
    """GLM-5.2 in FP8 on 16 H100 under a chat load."""
    values: dict[str, Any] = {
        "description": "Does it carry the load?",
        "model": {"name": "glm-5.2", "weights": "fp8_block"},
        "deployment": {
            "spare_nodes": 1,
            "layout": {"tensor_parallel_size": 8, "pipeline_parallel_size": 2},
            "engine": {"kv_cache_dtype": "fp8", "gpu_memory_utilization": 0.85},
        },
        "workload": {"preset": "chat", "arrivals": {"rate_rps": 2.5}},
        "slo": {"ttft_ms": 2000.0, "tpot_ms": 100.0},
        "run": {"horizon_s": 3600.0, "warmup_s": 600.0, "replications": 5, "seed": 1},
    }
    return parse({**values, **changes})


def made_histograms() -> dict[str, LogHistogram]:
    """Lognormal latencies, 4,000 of each."""
    rng = np.random.default_rng(7)
    histograms = {}
    for stem, (median_s, sigma) in LATENCIES.items():
        histogram = LogHistogram()
        histogram.add_many(median_s * np.exp(sigma * rng.standard_normal(4000)))
        histograms[f"{stem}_s"] = histogram
    return histograms


def made_metrics(histograms: dict[str, LogHistogram], attainment: tuple[float, float, float]) -> list[Metric]:
    """Figures of all sections; p99 of TTFT cannot be given."""
    metrics = []
    for stem in LATENCIES:
        histogram = histograms[f"{stem}_s"]
        metrics.append(
            Metric(NAME, f"{stem}_mean_s", "s", histogram.mean, 0.97 * histogram.mean, 1.03 * histogram.mean)
        )
        for p in (50, 90, 95, 99):
            value = histogram.quantile(p / 100)
            name = f"{stem}_p{p}_s"
            if name == "ttft_p99_s":
                metrics.append(Metric(NAME, name, "s", None, note=TOO_FEW))
            else:
                metrics.append(Metric(NAME, name, "s", value, 0.95 * value, 1.05 * value))
    value, low, high = attainment
    rates = [
        ("request_throughput_rps", "requests/s", 2.48, 2.41, 2.55, ""),
        ("goodput_rps", "requests/s", 2.41, 2.33, 2.48, ""),
        ("slo_attainment_frac", "fraction", value, low, high, ""),
        ("output_throughput_tokens_per_s", "tokens/s", 551.2, 538.4, 563.9, ""),
        ("output_throughput_tokens_per_s_per_gpu", "tokens/s/GPU", 34.45, 33.65, 35.24, ""),
        ("running_seqs_mean", "sequences", 23.5, 22.3, 24.7, ""),
        ("kv_used_mean_frac", "fraction", 0.051, 0.047, 0.056, ""),
        ("kv_used_max_frac", "fraction", 0.173, None, None, "highest of all replications"),
        ("utilisation_sm_active_frac", "fraction", None, None, None, "not modelled"),
        ("available_frac", "fraction", 0.9991, 0.9973, 1.0009, ""),
    ]
    return [*metrics, *(Metric(NAME, *row) for row in rates), *made_costs()]


def made_costs() -> list[Metric]:
    """Two ways to pay and an API."""
    return [
        Metric("owned", "cost_usd_per_year", "USD/year", 567_000.0),
        Metric("owned", "cost_usd_per_gpu_hour", "USD/GPU/h", 4.04),
        Metric("owned", "cost_usd_per_mtok_output", "USD/Mtok", 32.6, 31.9, 33.3),
        Metric("owned", "cost_usd_per_mtok_total", "USD/Mtok", 3.83, 3.72, 3.96),
        Metric("on_demand", "cost_usd_per_year", "USD/year", 723_000.0),
        Metric("on_demand", "cost_usd_per_gpu_hour", "USD/GPU/h", 5.16),
        Metric("on_demand", "cost_usd_per_mtok_output", "USD/Mtok", 41.6, 40.7, 42.5),
        Metric("on_demand", "cost_usd_per_mtok_total", "USD/Mtok", 4.89, 4.74, 5.05),
        Metric("api:z-ai", "cost_usd_per_year", "USD/year", 259_000.0),
        Metric("api:z-ai", "cost_usd_per_mtok_output", "USD/Mtok", 14.9),
        Metric("api:z-ai", "cost_usd_per_mtok_total", "USD/Mtok", 1.75),
    ]


def made_timeline() -> list[tuple[float, ...]]:
    """Samples of five replications; one loses its replica for a while."""
    rng = np.random.default_rng(11)
    rows = []
    for replication in range(5):
        for time_s in np.arange(0.0, 3601.0, 30.0):
            up = 0.0 if replication == 2 and 1500.0 < time_s < 1900.0 else 1.0
            running = float(rng.poisson(24)) * up
            rows.append((float(replication), float(time_s), running, float(rng.poisson(1)), running / 400.0, up))
    return rows


def made_result(attainment: tuple[float, float, float] = (0.994, 0.991, 0.997), **changes: Any) -> Result:
    """A run that kept up."""
    histograms = made_histograms()
    fields: dict[str, Any] = {
        "scenario": made_scenario(),
        "status": "completed",
        "metrics": tuple(made_metrics(histograms, attainment)),
        "counts": {
            "attempted": 44_804,
            "completed": 44_620,
            "failed": 3,
            "refused": 5,
            "abandoned": 7,
            "unfinished": 169,
            "measured": 37_111,
            "retries": 12,
            "preemptions": 2,
        },
        "warnings": ("5 replications give wide intervals; 10 or more are usual.",),
        "assumed_inputs": (
            AssumedInput("prices.ownership.tax_frac", 0.0, "of capex", 0.0, 0.2, "tax is due in some places"),
            AssumedInput("engines.sglang.runtime_reserve_gib", 1.0, "GiB", 0.0, 2.0, "no measurement found"),
            AssumedInput("gpus.h100-sxm-80gb.node", "hgx-h100-8", "-", None, None, "usual 8-GPU node"),
        ),
        "ledger": (
            CostLine("owned", "capital", 317_000.0, "sourced"),
            CostLine("owned", "staff", 250_000.0, "assumed"),
            CostLine("on_demand", "rent", 723_000.0, "sourced"),
        ),
        "histograms": histograms,
        "timeline": made_timeline(),
        "manifest": {
            "scenario_name": NAME,
            "hash": "0123abcd",
            "version": "0.1.0",
            "libraries": {"simpy": "4.1.2"},
            "seed": 1,
            "replications": 5,
            "wall_s": 3.21,
            "events": {"requests": 44_804, "engine_steps": 991_234},
        },
    }
    return Result(**{**fields, **changes})


def made_infeasible() -> Result:
    """Weights that do not fit one node."""
    layout = {"layout": {"tensor_parallel_size": 8, "pipeline_parallel_size": 1}}
    reason = Infeasible("does_not_fit", "It does not fit 8 x h100-sxm-80gb.", FIX, {"shortfall_gib_per_gpu": 21.9})
    return Result(made_scenario(deployment=layout), "infeasible", reason)
