"""One phase alone, saturated: prompts without decoding, or decoding of a full batch. It is one step, repeated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from sim.catalog.tables import number
from sim.simulation.build import Built
from sim.study.validate.launch import TABLE
from sim.study.validate.point import MeasuredPoint
from sim.units import MILLISECOND

KIND: Final = "saturated phase-isolated"
REPORT: Final = "sglang/deepseek-v3-r1/large-ep"


@dataclass(frozen=True, slots=True)
class Phase:
    """What a step of the phase computes on each attention rank.

    Attributes
    ----------
    role : which phase.
    prompt_tokens : length of each prompt.
    tokens : prompt tokens of a prefill step, or sequences of a decode step.
    context_tokens : mean context of a decoding sequence.
    """

    role: Literal["prefill", "decode"]
    prompt_tokens: int
    tokens: int
    context_tokens: float = 0.0


def phase_of(point: MeasuredPoint) -> Phase | None:
    """The phase that a row measured; None where it measured a system that does both."""
    measured = {"output_tput_per_gpu", "total_tput_per_gpu"} & set(point.numbers)
    if point.words["load_kind"] != KIND or not measured or not {"isl", "attn_dp"} <= set(point.numbers):
        return None
    prompt = point.count("isl")
    layout = point.words["layout"]
    if "output_tput_per_gpu" in point.numbers:
        stated = re.search(r"(\d+) seq/GPU", layout)
        seqs = int(stated.group(1)) if stated else round(number(TABLE, REPORT, "decode_seqs_per_gpu"))
        return Phase("decode", prompt, seqs, prompt + point.numbers.get("osl", 0.0) / 2.0)
    stated = re.search(r"([\d,]+) tok/device", layout)
    tokens = int(stated.group(1).replace(",", "")) if stated else round(number(TABLE, REPORT, "prefill_tokens_per_gpu"))
    return Phase("prefill", prompt, tokens)


def phase_scenario(point: MeasuredPoint, phase: Phase) -> dict[str, Any]:
    """Keys of the deployment that the report of the large-EP runs states."""
    copies = round(number(TABLE, REPORT, "redundant_experts"))
    balanced = "perfect" in point.words["layout"]
    chunk = phase.tokens if phase.role == "prefill" else max(phase.tokens, 64)
    return {
        "layout": {
            "tensor_parallel_size": 1,
            "data_parallel_size": point.count("attn_dp"),
            "enable_expert_parallel": True,
            "redundant_experts": copies,
        },
        "engine": {
            "name": "sglang",
            "max_num_seqs": phase.tokens if phase.role == "decode" else 64,
            "max_num_batched_tokens": max(chunk, 64),
            "gpu_memory_utilization": number(TABLE, REPORT, "gpu_memory_utilization"),
            "num_max_dispatch_tokens_per_rank": 256,
            "enable_two_batch_overlap": "no two-batch" not in point.words["layout"],
        },
        "expert_imbalance": {"law": "uniform"} if balanced else {"eplb": {}},
    }


def phase_figures(phase: Phase, built: Built, gpus: int) -> dict[str, float]:
    """Throughput per GPU, and TPOT of a decode step."""
    law, ranks = built.served, built.planned.layout.data_parallel_size
    cap = law.attention_cap_tokens
    if phase.role == "prefill":
        whole, rest = divmod(phase.tokens, phase.prompt_tokens)
        chunks = [(phase.prompt_tokens, 0)] * whole + ([(rest, 0)] if rest else [])
        step_s = law.mixed_s(0, 0, 0, any_above=False, prefills=chunks) + law.shared_s(
            ranks * phase.tokens, phase.tokens, prefill=True
        )
        return {"total_tput_per_gpu": ranks * phase.tokens / step_s / gpus}
    seqs = phase.tokens
    context = round(seqs * phase.context_tokens)
    capped = round(seqs * min(cap, phase.context_tokens)) if cap else 0
    above = bool(cap) and phase.context_tokens >= cap
    step_s = law.mixed_s(seqs, context, capped, above, []) + law.shared_s(ranks * seqs, seqs, prefill=False)
    step_ms = step_s / MILLISECOND
    return {"output_tput_per_gpu": ranks * seqs / step_s / gpus, "tpot_mean_ms": step_ms, "tpot_p50_ms": step_ms}
