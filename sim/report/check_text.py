"""`sim check`: the memory plan for people and for machines."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType

from sim.report.figures import gib, number, plural
from sim.report.headline import headline
from sim.report.memory_plan import admissible_tokens, cache_rows, memory_rows, seats
from sim.report.speculation_text import speculation_dict, speculation_rows
from sim.report.terminal import columns, heading, pairs, paragraph, render
from sim.report.verdict import reason_verdict
from sim.scenario.scenario import Scenario
from sim.simulation.check import Check

BAR = 24


def check_text(scenario: Scenario, check: Check) -> str:
    """The memory plan of a scenario, whether it fits, and what would."""
    words = headline(scenario, check.planned)
    parts: list[RenderableType] = [
        paragraph(f"{scenario.name}: {words.system}", "bold", 0),
        paragraph(words.layout, "dim", 0),
        paragraph(f"Load: {words.load}", "dim", 0),
        *_verdict(check),
        heading("Memory of one GPU"),
        columns(("", "size", "share", ""), _memory_cells(check), "lrrl"),
    ]
    if check.planned.memory.fits:
        parts += [
            heading("Cache"),
            pairs([*cache_rows(check.planned), *speculation_rows(check.planned.speculation)]),
            *_seats(scenario, check),
            *_bound(scenario, check),
        ]
    return render(parts)


def check_dict(scenario: Scenario, check: Check) -> dict[str, Any]:
    """The same as plain data; sizes of one GPU unless the name says otherwise."""
    planned, memory = check.planned, check.planned.memory
    per_token = memory.kv_token_bytes
    return {
        "scenario": scenario.name,
        "fits": memory.fits,
        "infeasible": None if check.infeasible is None else check.infeasible.as_dict(),
        "model": planned.spec.name,
        "weights": memory.weights,
        "kv_cache_dtype": memory.kv_cache_dtype,
        "layout": str(planned.layout),
        "gpus_per_replica": planned.layout.num_gpus,
        "memory": {
            "gpu_memory_bytes": memory.gpu_memory_bytes,
            "usable_bytes": memory.usable_bytes,
            "weight_bytes": memory.weight_bytes,
            "weight_component_bytes": dict(memory.weight_component_bytes),
            "runtime_reserve_bytes": memory.runtime_reserve_bytes,
            "kv_pool_bytes": memory.kv_pool_bytes,
            "draft_pool_bytes": memory.draft_pool_bytes,
            "shortfall_bytes": memory.shortfall_bytes,
        },
        "cache": {
            "attention_bytes_per_token": per_token.attention_bytes,
            "indexer_bytes_per_token": per_token.indexer_bytes,
            "draft_bytes_per_token": per_token.draft_bytes,
            "bytes_per_token": per_token.total_bytes,
            "bytes_per_sequence": memory.kv_sequence_bytes,
            "tokens_per_rank": memory.kv_tokens_per_rank,
            "tokens_per_replica": memory.kv_tokens,
            "longest_request_tokens": admissible_tokens(planned),
            "concurrent_sequences": [
                {"context_tokens": context, "held_by_cache": held, "run_at_once": run}
                for context, held, run in seats(planned, scenario.deployment.engine.max_num_seqs)
            ],
        },
        "speculation": speculation_dict(check.planned.speculation)
        if check.planned.speculation.num_speculative_tokens
        else None,
        "too_long_frac": check.too_long_frac,
        "capacity_bound": None
        if check.bound is None
        else {
            "requests_rps_per_replica": check.bound.requests_rps,
            "requests_rps": check.bound.requests_rps * scenario.deployment.replicas,
            "seqs_per_rank": check.bound.seqs_per_rank,
        },
    }


def _verdict(check: Check) -> list[RenderableType]:
    if check.infeasible is not None:
        reason = reason_verdict(check.infeasible)
        return [
            heading(f"{reason.title}."),
            paragraph(reason.sentence),
            paragraph(reason.fix, "bold"),
        ]
    memory = check.planned.memory
    sentence = (
        f"{gib(memory.weight_bytes)} of weights and {gib(memory.runtime_reserve_bytes)} of reserve leave "
        f"{gib(memory.kv_pool_bytes)} per GPU for the cache: {memory.kv_tokens:,} tokens of context per replica."
    )
    parts = [heading("Fits."), paragraph(sentence)]
    if check.too_long_frac > 0.0:
        parts.append(
            paragraph(
                f"{number(100 * check.too_long_frac)} % of the requests of this load are longer than the engine admits "
                "and will be refused."
            )
        )
    return parts


def _memory_cells(check: Check) -> list[tuple[str, ...]]:
    return [
        ("  " * row.level + row.name, row.amount, f"{100 * row.frac:.1f} %", "█" * round(BAR * row.frac))
        for row in memory_rows(check.planned.memory)
    ]


def _seats(scenario: Scenario, check: Check) -> list[RenderableType]:
    limit = scenario.deployment.engine.max_num_seqs
    rows = [
        (f"{context:,} tokens", f"{held:,}" if held else "none: too long", f"{run:,}" if held else "")
        for context, held, run in seats(check.planned, limit)
    ]
    head = ("context", "cache holds", f"run at once (max_num_seqs {limit:,} per rank)")
    return [heading("Sequences per replica"), columns(head, rows, "rrr")]


def _bound(scenario: Scenario, check: Check) -> list[RenderableType]:
    if check.bound is None:
        return []
    replicas = scenario.deployment.replicas
    text = (
        f"At most {number(check.bound.requests_rps * replicas)} requests/s of this load "
        f"({plural(replicas, 'replica')}, {plural(check.bound.seqs_per_rank, 'sequence')} per rank). "
        "This is a bound, not a prediction: every seat is always taken and nothing waits. "
        "What fits inside a service level, only `sim run` tells."
    )
    return [heading("Upper bound of throughput"), paragraph(text)]
