"""The figures that have a model interval, beside their sampling interval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sim.report.costs import option_name
from sim.report.figures import metric_figure
from sim.study.metric import Metric
from sim.study.result import Result

SHOWN: Final = (
    ("ttft_p50_s", "TTFT, median"),
    ("ttft_p95_s", "TTFT, 95th percentile"),
    ("tpot_p50_s", "TPOT, median"),
    ("tpot_p95_s", "TPOT, 95th percentile"),
    ("e2el_p95_s", "E2EL, 95th percentile"),
    ("output_throughput_tokens_per_s", "Output"),
    ("slo_attainment_frac", "Requests within the service level"),
    ("good_output_tokens_per_s", "Output within the service level"),
    ("cost_usd_per_mtok_output", "Cost per M output tokens"),
    ("model_keeps_up_frac", "Draws that keep up with the load"),
)
MODEL_MEANING: Final = (
    "The sampling interval says how far more replications of this very model would move a figure. The model interval "
    "says how far the figure moves when kernels, engine constants, expert imbalance and acceptance are drawn from what "
    "is known of them, and the error of the calibrated simulator on its fitted points is added."
)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One figure with both intervals, as text."""

    name: str
    value: str
    sampling: str
    model: str


def model_rows(result: Result) -> list[ModelRow]:
    """Rows of the table; empty where nothing was drawn."""
    if not any(metric.metric == "model_keeps_up_frac" for metric in result.metrics):
        return []
    found = []
    for name, words in SHOWN:
        for metric in result.metrics:
            if metric.metric == name and (metric.option == result.scenario.name or name.startswith("cost_")):
                own = metric.option == result.scenario.name
                found.append(_row(metric, words if own else f"{words}, {option_name(metric.option)}"))
    return found


def _row(metric: Metric, words: str) -> ModelRow:
    sampled = metric_figure(metric)
    drawn = metric_figure(replace(metric, low=metric.model_low, high=metric.model_high, note=""))
    known = metric.model_low is not None or metric.model_high is not None
    return ModelRow(words, sampled.value, sampled.interval, drawn.interval if known else "")
