"""Two pools as a row's layout words describe them."""

from __future__ import annotations

import re
from typing import Any, Final

from sim.study.validate.point import MeasuredPoint

POOL: Final = re.compile(r"(\d+)x (prefill|decode)\(([^)]*)\)")
PREFILL_SEQS: Final = 64
ROUTER: Final = "least_outstanding"


def pools_of(point: MeasuredPoint) -> dict[str, dict[str, Any]] | None:
    """Replicas and layout of each pool; None where the words name no such pools.

    Two spellings: `1x prefill(tp8 ep1 dpattn=False)`, where attention ranks divide the tensor size, and
    `1x prefill(attn tp1 dp8 moe_ep8)`.
    """
    found = {role: _pool(int(copies), words) for copies, role, words in POOL.findall(point.words.get("layout", ""))}
    return found if set(found) == {"prefill", "decode"} else None


def _pool(replicas: int, words: str) -> dict[str, Any]:
    numbers = {name: int(value) for name, value in re.findall(r"\b(tp|dp|ep|moe_ep)(\d+)", words)}
    tensor, experts = numbers["tp"], numbers.get("moe_ep", numbers.get("ep", 1))
    ranks = numbers.get("dp", tensor if "dpattn=True" in words else 1)
    if "dpattn" in words:
        tensor //= ranks
    layout = {"tensor_parallel_size": tensor, "data_parallel_size": ranks, "enable_expert_parallel": experts > 1}
    return {"replicas": replicas, "layout": layout}


def disaggregation(point: MeasuredPoint, pools: dict[str, dict[str, Any]], chunk_tokens: int) -> dict[str, Any]:
    """The section of a scenario: engine limits wide enough for all callers, since no column states them."""
    callers = max(1, point.count("load_value"))
    prefill, decode = pools["prefill"], pools["decode"]
    seqs = min(512, max(16, -(-2 * callers // (decode["replicas"] * decode["layout"]["data_parallel_size"]))))
    return {
        "prefill": {
            **prefill,
            "engine": {"max_num_seqs": PREFILL_SEQS, "max_num_batched_tokens": max(chunk_tokens, PREFILL_SEQS)},
        },
        "decode": {**decode, "engine": {"max_num_seqs": seqs, "max_num_batched_tokens": seqs}},
    }
