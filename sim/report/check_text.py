"""`sim check`: the memory plan for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import RenderableType

from sim.engine.pools import TransferPlan
from sim.llm.memory import MemoryPlan
from sim.report.figures import gib, number, plural
from sim.report.headline import headline
from sim.report.memory_plan import admissible_tokens, cache_rows, memory_rows, seats
from sim.report.speculation_text import speculation_dict, speculation_rows
from sim.report.terminal import columns, heading, pairs, paragraph, render
from sim.report.verdict import reason_verdict
from sim.scenario.scenario import Scenario
from sim.simulation.capacity import CapacityBound
from sim.simulation.check import Check
from sim.simulation.roles import Role, roles_of
from sim.units import GIB, MILLISECOND

BAR = 24
GIGA = 1e9
TRANSFER_TOKENS: Final = 8_192


def check_text(scenario: Scenario, check: Check) -> str:
    """The memory plan of a scenario, whether it fits, and what would."""
    words = headline(scenario, check.planned)
    parts: list[RenderableType] = [
        paragraph(f"{scenario.name}: {words.system}", "bold", 0),
        paragraph(words.layout, "dim", 0),
        paragraph(f"Load: {words.load}", "dim", 0),
        *_verdict(check),
    ]
    roles = roles_of(scenario)
    for role in roles:
        parts += _plan(role)
    if check.built is not None and check.built.cluster.decode is not None:
        parts += _transfer(check.built.cluster.decode.transfer)
    if all(role.planned.memory.fits for role in roles):
        parts += _bounds(roles, check)
    return render(parts)


def _plan(role: Role) -> list[RenderableType]:
    """Memory of one GPU of a role, and what its cache holds."""
    memory = role.planned.memory
    of = f" of a {role.noun}" if role.name else ""
    parts: list[RenderableType] = [
        heading(f"Memory of one GPU{of}"),
        columns(("", "size", "share", ""), _memory_cells(memory), "lrrl"),
    ]
    if memory.fits:
        rows = [*cache_rows(role.planned), *speculation_rows(role.planned.speculation)]
        parts += [heading(f"Cache{of}"), pairs(rows), *_seats(role)]
    return parts


def _transfer(plan: TransferPlan) -> list[RenderableType]:
    """What KV costs on its way between the pools."""
    bytes_per_token, slowest = plan.bytes_per_token, min(plan.send_bytes_per_s, plan.receive_bytes_per_s)
    seconds = plan.latency_s + (plan.bytes_per_sequence + bytes_per_token * TRANSFER_TOKENS) / slowest
    rows = [
        ("Bytes sent per token", f"{bytes_per_token:,.0f}"),
        ("A prefill rank sends at", f"{plan.send_bytes_per_s / GIGA:,.1f} GB/s"),
        ("A decode rank receives at", f"{plan.receive_bytes_per_s / GIGA:,.1f} GB/s"),
        (f"KV of {TRANSFER_TOKENS:,} tokens is there after", f"{seconds / MILLISECOND:,.1f} ms, if nobody else sends"),
    ]
    return [heading("KV from prefill to decode"), pairs(rows)]


def check_dict(scenario: Scenario, check: Check) -> dict[str, Any]:
    """The same as plain data; sizes of one GPU unless the name says otherwise."""
    first, *others = roles_of(scenario)
    head = {
        "scenario": scenario.name,
        "fits": all(role.planned.memory.fits for role in (first, *others)),
        "infeasible": None if check.infeasible is None else check.infeasible.as_dict(),
    }
    parts = _role_dict(first, check, check.bound)
    if not others:
        return {**head, **parts}
    return {**head, "prefill": parts, "decode": _role_dict(others[0], check, check.decode_bound)}


def _role_dict(role: Role, check: Check, bound: CapacityBound | None) -> dict[str, Any]:
    """Memory, cache and bound of the replicas of one role."""
    planned, memory = role.planned, role.planned.memory
    per_token = memory.kv_token_bytes
    return {
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
            "prompt_workspace_bytes": planned.workspace_bytes,
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
                for context, held, run in seats(planned, role.scenario.deployment.engine.max_num_seqs)
            ],
        },
        "speculation": speculation_dict(planned.speculation) if planned.speculation.num_speculative_tokens else None,
        "too_long_frac": check.too_long_frac,
        "capacity_bound": None
        if bound is None
        else {
            "requests_rps_per_replica": bound.requests_rps,
            "requests_rps": bound.requests_rps * role.replicas,
            "seqs_per_rank": bound.seqs_per_rank,
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
    parts: list[RenderableType] = [heading("Fits.")]
    for planned, noun in (
        (check.planned, "" if check.decode_planned is None else "prefill "),
        (check.decode_planned, "decode "),
    ):
        if planned is not None:
            memory = planned.memory
            sentence = (
                f"{gib(memory.weight_bytes)} of weights and {gib(memory.runtime_reserve_bytes)} of reserve leave "
                f"{gib(memory.kv_pool_bytes)} per GPU for the cache: {memory.kv_tokens:,} tokens of context per "
                f"{noun}replica."
            )
            if planned.workspace_bytes >= GIB:
                sentence += (
                    f" Of the reserve {gib(planned.workspace_bytes)} is for prompts of up to {planned.max_model_len:,} "
                    "tokens under sparse attention; a smaller max_model_len gives it back."
                )
            if planned.shortened:
                sentence += (
                    f" max_model_len is not stated: {planned.max_model_len:,} is the longest with which it starts; "
                    f"left alone it would take {planned.spec.max_context_tokens:,}, and refuse."
                )
            parts.append(paragraph(sentence))
    if check.too_long_frac > 0.0:
        parts.append(
            paragraph(
                f"{number(100 * check.too_long_frac)} % of the requests of this load are longer than the engine admits "
                "and will be refused."
            )
        )
    return parts


def _memory_cells(memory: MemoryPlan) -> list[tuple[str, ...]]:
    return [
        ("  " * row.level + row.name, row.amount, f"{100 * row.frac:.1f} %", "█" * round(BAR * row.frac))
        for row in memory_rows(memory)
    ]


def _seats(role: Role) -> list[RenderableType]:
    limit = role.scenario.deployment.engine.max_num_seqs
    rows = [
        (f"{context:,} tokens", f"{held:,}" if held else "none: too long", f"{run:,}" if held else "")
        for context, held, run in seats(role.planned, limit)
    ]
    head = ("context", "cache holds", f"run at once (max_num_seqs {limit:,} per rank)")
    return [heading(f"Sequences per {role.noun}"), columns(head, rows, "rrr")]


def _bounds(roles: Sequence[Role], check: Check) -> list[RenderableType]:
    found = [(role, bound) for role, bound in zip(roles, (check.bound, check.decode_bound), strict=False) if bound]
    if not found:
        return []
    carried = [
        f"{number(bound.requests_rps * role.replicas)} requests/s of this load "
        f"({plural(role.replicas, role.noun)}, {plural(bound.seqs_per_rank, 'sequence')} per rank)"
        for role, bound in found
    ]
    text = (
        f"At most {' and '.join(carried)}. "
        "This is a bound, not a prediction: every seat is always taken and nothing waits. "
        "What fits inside a service level, only `sim run` tells."
    )
    return [heading("Upper bound of throughput"), paragraph(text)]
