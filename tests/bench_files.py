"""Files of load generators as they would be written by runs of the simulator itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import sim
from sim.engine.recorder import ROW
from sim.simulation.build import build
from sim.simulation.run import run_built
from sim.units import MILLISECOND

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"


def cluster(**engine: object) -> sim.Scenario:
    """Mixtral on two H100, so that host time and kernels both matter."""
    return sim.load(SCENARIOS / "mixtral_8x7b_8xh100.yaml").with_(
        {
            "deployment.layout.tensor_parallel_size": 2,
            "deployment.engine.name": "vllm",
            **{f"deployment.engine.{key}": value for key, value in engine.items()},
        }
    )


def served(scenario: sim.Scenario, workload: dict[str, Any], requests: int, seed: int = 7) -> tuple[np.ndarray, float]:
    """(rows of completed requests in order of arrival, seconds) of one run."""
    run = {"horizon_s": 1e8, "warmup_s": 0.0, "replications": 1, "max_requests": requests, "record_requests": True}
    changes = {"workload": workload, "router.request_timeout_s": 1e8, **{f"run.{key}": run[key] for key in run}}
    outcome = run_built(build(scenario.with_(changes)), seed, 0)
    rows = np.array(outcome.record.rows)
    return rows[np.argsort(rows[:, 0], kind="stable")], outcome.end_s


def closed(callers: int, prompt: object, output: object) -> dict[str, Any]:
    """A closed loop; lengths are constant, or `(least, most)`."""
    return {"arrivals": {"process": "closed_loop", "concurrency": callers}, **lengths(prompt, output)}


def lengths(prompt: object, output: object) -> dict[str, Any]:
    """Laws of a scenario."""
    return {
        key: {"law": "uniform", "min_tokens": value[0], "max_tokens": value[1]}
        if isinstance(value, tuple)
        else {"law": "constant", "tokens": value}
        for key, value in (("input_tokens", prompt), ("output_tokens", output))
    }


def vllm_json(rows: np.ndarray, seconds: float, *, detailed: bool = True, **load: object) -> str:
    """What `vllm bench serve --save-result` writes of a run; `load` has `request_rate` and `max_concurrency`."""
    column = {name: rows[:, index] for index, name in enumerate(ROW)}
    tpot_s = (column["e2el_s"] - column["ttft_s"]) / np.maximum(1, column["output_tokens"] - 1)
    record: dict[str, object] = {
        "date": "20261125-034700",
        "backend": "vllm",
        "model_id": "mistralai/Mixtral-8x7B-v0.1",
        "num_prompts": len(rows),
        "request_rate": "inf",
        "burstiness": 1.0,
        "max_concurrency": None,
        "duration": seconds,
        "completed": len(rows),
        "failed": 0,
        "total_input_tokens": int(column["input_tokens"].sum()),
        "total_output_tokens": int(column["output_tokens"].sum()),
        "output_throughput": float(column["output_tokens"].sum()) / seconds,
        **load,
    }
    for key, values in (("ttft", column["ttft_s"]), ("tpot", tpot_s), ("e2el", column["e2el_s"])):
        record[f"mean_{key}_ms"] = float(values.mean()) / MILLISECOND
        record[f"median_{key}_ms"] = float(np.median(values)) / MILLISECOND
        record[f"p99_{key}_ms"] = float(np.quantile(values, 0.99)) / MILLISECOND
    if detailed:
        record |= {
            "input_lens": column["input_tokens"].astype(int).tolist(),
            "output_lens": column["output_tokens"].astype(int).tolist(),
            "ttfts": column["ttft_s"].tolist(),
            "itls": [[float(row[5] - row[4])] if row[2] > 1 else [] for row in rows],
            "start_times": (1000.0 + column["arrival_s"]).tolist(),
        }
    return json.dumps(record)
