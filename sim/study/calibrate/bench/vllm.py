"""`vllm bench serve --save-result`, with or without `--save-detailed`; SGLang's `bench_serving` writes the same names.

Keys as of vLLM 0.24 (`vllm/benchmarks/serve.py`). With the arrays of `--save-detailed` every request keeps its own
lengths and, in an open loop, its own start; without them only means are known, and every request gets the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim.errors import ScenarioError
from sim.study.calibrate.bench.records import Record, needed, number, numbers, records
from sim.study.calibrate.bench.run import (
    INPUT,
    OUTPUT,
    SYSTEM_TPUT,
    BenchRun,
    Read,
    UnusableRunError,
    collected,
    constant,
    empirical,
    positive,
)
from sim.units import MILLISECOND

KEYS = ("duration", "completed", "total_input_tokens", "total_output_tokens")
METRICS = {"ttft": ("ttft",), "tpot": ("tpot",), "e2e": ("e2el", "e2e_latency")}
ARRAYS = ("input_lens", "output_lens", "ttfts", "itls")


def recognises(text: str) -> bool:
    """Whether the text is of this format, told from its keys."""
    return text.lstrip()[:1] in "{[" and all(f'"{key}"' in text for key in KEYS)


def read(text: str, file: str) -> Read:
    """The runs of a file; `--append-result` writes one per line.

    Raises
    ------
    ScenarioError : it is no JSON, or a key is missing or wrong.
    """
    return collected(file, records(text, file), _run)


def _run(record: Record, name: str) -> BenchRun:
    completed = round(needed(record, "completed", name))
    concurrency, rate_rps, notes = _load(record, name, completed)
    prompts, failed = number(record, "num_prompts", name), number(record, "failed", name)
    lost = failed or (prompts - completed if prompts else 0.0)
    if lost:
        notes.append(f"{lost:,.0f} requests did not complete and are left out")
    arrays = _arrays(record, name)
    if arrays is None:
        notes.append("lengths are known as means only: --save-detailed keeps those of each request")
        totals = (needed(record, "total_input_tokens", name), needed(record, "total_output_tokens", name))
        laws = {INPUT: constant(totals[0] / completed), OUTPUT: constant(totals[1] / completed)}
        each: Mapping[str, tuple[int, ...]] = {}
        starts_s: tuple[float, ...] = ()
        detailed: Mapping[str, float] = {}
    else:
        each = {INPUT: arrays.inputs, OUTPUT: arrays.outputs}
        laws = {which: empirical(lengths) for which, lengths in each.items()}
        starts_s, detailed = arrays.starts_s, arrays.figures
    duration_s = needed(record, "duration", name)
    output_tokens = needed(record, "total_output_tokens", name)
    measured = {SYSTEM_TPUT: output_tokens / duration_s, **_figures(record, name), **detailed}
    return BenchRun(
        name,
        concurrency,
        rate_rps,
        completed if arrays is None else len(arrays.inputs),
        laws,
        measured,
        number(record, "burstiness", name) or 1.0,
        each,
        starts_s,
        notes=tuple(notes),
    )


def _load(record: Record, name: str, completed: int) -> tuple[int | None, float | None, list[str]]:
    """(callers, rate, notes): a finite rate is an open loop; without one all callers are there at once."""
    limit, rate = number(record, "max_concurrency", name), record.get("request_rate")
    if record.get("ramp_up_strategy"):
        raise UnusableRunError(f"the rate ramps up ({record['ramp_up_strategy']}), which is not modelled")
    endless = rate is None or str(rate).lower() in {"inf", "infinity"}
    if endless:
        return (round(limit) if limit else completed), None, []
    rate_rps = needed(record, "request_rate", name)
    if limit:
        peak = number(record, "max_concurrent_requests", name)
        if peak is None or peak >= limit:
            raise UnusableRunError(
                f"at most {limit:,.0f} requests at a time and {rate_rps:g} requests/s: where the limit holds "
                "requests back, neither an open nor a closed loop stands for it"
            )
    return None, rate_rps, []


def _figures(record: Record, name: str) -> dict[str, float]:
    """Latencies that the summary states, in milliseconds."""
    found: dict[str, float | None] = {}
    for metric, keys in METRICS.items():
        for column, prefix in (("p50_ms", "median"), ("mean_ms", "mean"), ("p99_ms", "p99")):
            stated = (number(record, f"{prefix}_{key}_ms", name) for key in keys)
            found[f"{metric}_{column}"] = next((value for value in stated if value is not None), None)
    return positive(found)


class _Arrays:
    """Requests one by one; those that failed have no first token, and are left out."""

    def __init__(self, columns: Mapping[str, list[Any]], starts_s: list[float]) -> None:
        done = [
            place for place, ttft in enumerate(columns["ttfts"]) if ttft > 0.0 and columns["output_lens"][place] > 0
        ]
        self.inputs = tuple(max(1, round(columns["input_lens"][place])) for place in done)
        self.outputs = tuple(round(columns["output_lens"][place]) for place in done)
        first = min((starts_s[place] for place in done), default=0.0) if starts_s else 0.0
        self.starts_s = tuple(starts_s[place] - first for place in done) if starts_s else ()
        ttft_s = np.array([columns["ttfts"][place] for place in done])
        decode_s = np.array([float(sum(columns["itls"][place])) for place in done])
        many = np.array(self.outputs) > 1
        tpot_s = decode_s[many] / (np.array(self.outputs)[many] - 1)
        self.figures: dict[str, float] = {}
        for metric, values in (("ttft", ttft_s), ("tpot", tpot_s), ("e2e", ttft_s + decode_s)):
            if len(values):
                for column, value in (("p50", np.median(values)), ("mean", values.mean())):
                    self.figures[f"{metric}_{column}_ms"] = float(value) / MILLISECOND


def _arrays(record: Record, name: str) -> _Arrays | None:
    if not all(record.get(key) for key in ARRAYS):
        return None
    columns: dict[str, list[Any]] = {key: numbers(record, key, name) for key in ARRAYS[:3]}
    gaps = record["itls"]
    if not isinstance(gaps, list) or not all(isinstance(row, list) for row in gaps):
        raise ScenarioError("is no list of lists", key="itls", file=name)
    columns["itls"] = [numbers({"itls": row}, "itls", name) for row in gaps]
    starts_s = numbers(record, "start_times", name)
    lengths = {len(column) for column in (*columns.values(), *([starts_s] if starts_s else []))}
    if len(lengths) > 1:
        raise ScenarioError("arrays differ in length", key=", ".join(ARRAYS), file=name)
    arrays = _Arrays(columns, starts_s)
    if not arrays.inputs:
        raise ScenarioError("no request completed", key="ttfts", file=name)
    return arrays
