"""Attention ranks lost under wide expert parallelism, against what SGLang and Mooncake measured.

Elastic EP of SGLang with Mooncake, DeepSeek-V3.2 on 32 GPUs, 256 redundant experts (reference/reliability.md 3.2):
ranks lost -> tokens/s and mean TPOT afterwards. The callers that were there follow from both (Little's law). Neither
the GPU nor the lengths of prompts and answers are stated: H100 and 512 tokens of each are assumed. With other lengths
(256 to 1024 in, 256 to 2048 out) the last row was between -3 % and +20 % off, the others within 6 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import sim
from sim.engine.cluster import Cluster
from sim.faults.transition import Action, Transition
from sim.simulation.build import build
from sim.simulation.run import load
from sim.streams import Streams

MEASURED = {1: (5552.0, 0.096), 2: (5432.0, 0.092), 4: (5265.0, 0.089), 8: (4480.0, 0.079), 16: (2825.0, 0.068)}
CALLERS = {lost: round(rate * tpot_s) for lost, (rate, tpot_s) in MEASURED.items()}
BASE = Path(__file__).resolve().parents[2] / "scenarios" / "glm52_fp8_16xh100.yaml"
LENGTHS = {"law": "lognormal", "median_tokens": 512, "sigma": 0.3, "max_tokens": 4096}
HORIZON_S, WARMUP_S = 300.0, 100.0


def tokens_per_s(lost: int, callers: int) -> float:
    """Throughput of the 32-rank replica after `lost` of its ranks have gone."""
    scenario = sim.load(BASE).with_(
        {
            "model.name": "deepseek-v3.2",
            "deployment.layout": {
                "tensor_parallel_size": 1,
                "data_parallel_size": 32,
                "enable_expert_parallel": True,
                "redundant_experts": 256,
            },
            "deployment.engine.name": "sglang",
            "deployment.engine.max_num_seqs": 128,
            "deployment.engine.max_num_batched_tokens": 4096,
            "workload": {
                "arrivals": {"process": "closed_loop", "concurrency": callers},
                "input_tokens": LENGTHS,
                "output_tokens": LENGTHS,
            },
            "run": {"horizon_s": HORIZON_S, "warmup_s": WARMUP_S, "replications": 1},
        }
    )
    built, streams = build(scenario), Streams(1)
    gone = Transition(0.25 * WARMUP_S, 0, Action.SHRINK, "rank_loss", ranks=tuple(range(lost)))
    plan = replace(built.cluster, transitions=(gone,))
    record = Cluster(plan, built.served, load(built.workload, streams), streams).run().record
    return record.totals.since(record.opened).emitted_tokens / (HORIZON_S - WARMUP_S)


def errors(callers: Mapping[int, int]) -> dict[int, float]:
    """Relative error of throughput over that of the first row."""
    found = {lost: tokens_per_s(lost, callers[lost]) for lost in MEASURED}
    return {lost: found[lost] / found[1] / (rate / MEASURED[1][0]) - 1.0 for lost, (rate, _) in MEASURED.items()}


def test_throughput_after_lost_ranks() -> None:
    """Relative to one lost rank, throughput with 2, 4, 8 and 16 of 32 ranks lost is within 15 % of the measured one."""
    assert max(map(abs, errors(CALLERS).values())) < 0.15


def test_throughput_after_lost_ranks_depends_on_the_callers() -> None:
    """Negative twin: with the callers of the first row in every row, the last row is far off."""
    assert abs(errors(dict.fromkeys(MEASURED, CALLERS[1]))[16]) > 0.3
