"""One small scenario for tests of studies: a model on one node, four seats, prices of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sim
from sim.study.result import Result

KERNELS_ALONE = {
    "prefill_overhead_ms": 0.0,
    "sequence_overhead_us": 0.0,
    "response_latency_ms": 0.0,
    "decode_time_factor": 1.0,
    "prefill_time_factor": 1.0,
    "expert_decode_time_factor": 1.0,
    "expert_prefill_time_factor": 1.0,
}
TINY: dict[str, Any] = {
    "model": {"name": "mixtral-8x7b", "weights": "bf16"},
    "hardware": {"gpu": "h100-sxm-80gb"},
    "deployment": {
        "layout": {"tensor_parallel_size": 8},
        "engine": {"max_num_seqs": 4, "max_num_batched_tokens": 2048, "kv_cache_dtype": "bf16", **KERNELS_ALONE},
    },
    "workload": {
        "arrivals": {"process": "deterministic", "rate_rps": 2.0},
        "input_tokens": {"law": "constant", "tokens": 100},
        "output_tokens": {"law": "constant", "tokens": 20},
    },
    "run": {"horizon_s": 60.0, "warmup_s": 10.0, "replications": 2},
}
POISSON = {"process": "poisson", "rate_rps": 10.0}
VARIED = {
    "workload.arrivals": POISSON,
    "workload.input_tokens": {"law": "uniform", "min_tokens": 20, "max_tokens": 400},
    "workload.output_tokens": {"law": "uniform", "min_tokens": 2, "max_tokens": 60},
    "run.record_requests": True,
}
QUICK_RESTART = {
    "reliability.detect_s": 2.0,
    "reliability.restart": {
        "schedule_s": 0.0,
        "process_init_s": 1.0,
        "weight_load_s": 3.0,
        "kv_allocation_s": 0.5,
        "graph_capture_s": 0.25,
        "kernel_compile_s": 0.0,
        "warm_up_s": 0.25,
    },
}


def tiny(changes: Mapping[str, Any] | None = None) -> sim.Scenario:
    """The scenario: a request each half second, 100 tokens in and 20 out, which never overlap."""
    return sim.parse(TINY).with_(changes or {})


def simulated(changes: Mapping[str, Any] | None = None) -> Result:
    """Its result on one core."""
    return sim.simulate(tiny(changes), workers=1)
