"""How published benchmarks started their engines, where the scripts are public: limits that no column states."""

from __future__ import annotations

from typing import Any, Final

from sim.catalog.tables import Subject, table
from sim.study.validate.point import MeasuredPoint

TABLE: Final = "launches"
CHUNK_TOKENS: Final = 8192  # prompt tokens of a step: the default of all three engines on Hopper
NOT_BY_SCRIPT: Final = "token_position_decode_slo"  # a study of its own, with engines as they come


def launch_of(point: MeasuredPoint, engine: str, model: str) -> Subject:
    """What the script of a row says of its engine and model; empty where the row is none of InferenceX."""
    words = f"{point.words.get('source', '')} {point.words.get('note', '')}"
    if "InferenceX" not in words or NOT_BY_SCRIPT in words:
        return {}
    return table(TABLE).get(f"{engine}/{model}", {})


def engine_limits(point: MeasuredPoint, launch: Subject, *, drafts: bool) -> dict[str, Any]:
    """Engine keys of a scenario that the script sets: step budget, memory fraction, cache format."""
    values: dict[str, Any] = {}
    for key in ("gpu_memory_utilization", "kv_cache_dtype"):
        if key in launch:
            values[key] = launch[key].value
    values["max_num_batched_tokens"] = _chunk_tokens(point, launch, drafts=drafts)
    return values


def waits_before_engine(point: MeasuredPoint) -> bool:
    """Whether latencies of a point hold what comes before the engine: sim catalog misses says how it shows."""
    return NOT_BY_SCRIPT in point.words.get("source", "")


def drafting(point: MeasuredPoint, launch: Subject) -> bool:
    """Whether the run decoded with drafts: as the row says, or as others of the same run say where it does not."""
    spec = point.words["spec_decode"]
    run = str(launch["drafts_on"].value) if "drafts_on" in launch else None
    return spec.startswith("mtp") or (spec.startswith("unknown") and point.words.get("date", "") == run)


def drafts_of(point: MeasuredPoint, launch: Subject, ranks: int) -> int:
    """Tokens drafted per step and sequence: as the row says (`mtp-1`), or as its script does; 0 where neither does."""
    _, _, stated = point.words["spec_decode"].partition("mtp-")
    if stated.isdigit():
        return int(stated)
    name = "num_speculative_tokens_dp" if ranks > 1 else "num_speculative_tokens"
    return round(_number(launch, name)) if name in launch else 0


def _chunk_tokens(point: MeasuredPoint, launch: Subject, *, drafts: bool) -> int:
    isl, osl = point.numbers.get("isl", 0.0), point.numbers.get("osl", 0.0)
    if "max_num_batched_tokens" in launch:
        return round(_number(launch, "max_num_batched_tokens"))
    if "chunk_beyond_request_tokens" in launch:
        return round(isl + osl + _number(launch, "chunk_beyond_request_tokens"))
    if "chunk_beyond_prompt_tokens" not in launch:
        return CHUNK_TOKENS
    step = round(_number(launch, "chunk_rounding_tokens"))
    wanted = isl + point.numbers.get("load_value", 0.0) + _number(launch, "chunk_beyond_prompt_tokens")
    tokens = -(-round(wanted) // step) * step
    later = point.words.get("date", "") >= str(launch["least_chunk_since"].value)
    return max(tokens, round(_number(launch, "least_chunk_tokens"))) if later and not drafts else tokens


def _number(launch: Subject, name: str) -> float:
    return float(launch[name].value)
