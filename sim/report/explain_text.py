"""`sim explain`: one engine step, operation by operation."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import RenderableType

from sim.report.figures import number, plural, quantity
from sim.report.headline import headline
from sim.report.speculation_text import acceptance_words
from sim.report.terminal import bullets, columns, heading, paragraph, render
from sim.report.verdict import reason_verdict
from sim.scenario.scenario import Scenario
from sim.simulation.explain import Explained
from sim.steptime.operation import Operation
from sim.units import MILLISECOND

GIGA, MEGA = 1e9, 1e6
SOURCES = "Names and coefficients of the kernels: --json, and sim catalog kernels."


def explain_text(scenario: Scenario, explained: Explained) -> str:
    """The breakdown of a step as a table, longest part of the time by bound below it."""
    words = headline(scenario, explained.planned)
    parts: list[RenderableType] = [
        paragraph(f"{scenario.name}: {words.system}", "bold", 0),
        paragraph(words.layout, "dim", 0),
    ]
    if explained.infeasible is not None:
        reason = reason_verdict(explained.infeasible)
        return render([*parts, heading(f"{reason.title}."), paragraph(reason.sentence), paragraph(reason.fix, "bold")])
    parts.append(paragraph(f"One step: {batch_words(explained)}", indent=0))
    if explained.planned.speculation.num_speculative_tokens:
        parts.append(paragraph(f"Puts out {acceptance_words(explained.planned.speculation)}.", indent=0))
    rows = [_cells(item, explained.step_s) for item in explained.operations]
    head = ("operation", "runs", "ms", "share", "bound by", "GFLOP", "mem. MB", "net. MB", "kernel")
    parts += [
        heading(f"Step time {quantity(explained.step_s, 's')}"),
        columns(head, rows, "lrrrlrrrl", gap=1),
        paragraph(SOURCES, "dim"),
    ]
    parts += [heading("By bound"), columns(("bound by", "time", "share"), _by_bound(explained), "lrr")]
    if explained.experts:
        parts += [heading("Expert parallelism"), *bullets(explained.experts)]
    if explained.warnings:
        parts += [heading("Warnings"), *bullets(explained.warnings)]
    return render(parts)


def explain_dict(scenario: Scenario, explained: Explained) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "scenario": scenario.name,
        "infeasible": None if explained.infeasible is None else explained.infeasible.as_dict(),
        "decode_seqs": explained.decode_seqs,
        "context_tokens": explained.context_tokens,
        "prefill_tokens": explained.prefill_tokens,
        "prefix_tokens": explained.prefix_tokens,
        "step_s": explained.step_s,
        "operations": [asdict(item) for item in explained.operations],
        "experts": list(explained.experts),
        "warnings": list(explained.warnings),
    }


def batch_words(explained: Explained) -> str:
    """What the step holds, per attention rank."""
    parts = []
    if explained.decode_seqs:
        context = plural(explained.context_tokens, "token")
        parts.append(f"{plural(explained.decode_seqs, 'decoding sequence')} at {context} of context")
    if explained.prefill_tokens:
        cached = f" behind {explained.prefix_tokens:,} computed before" if explained.prefix_tokens else ""
        parts.append(f"{plural(explained.prefill_tokens, 'prompt token')}{cached}")
    return (" and ".join(parts) or "nothing") + " per attention rank"


def seconds_by_bound(operations: tuple[Operation, ...]) -> dict[str, float]:
    """Seconds by what bounds them, largest first."""
    totals: dict[str, float] = {}
    for item in operations:
        totals[item.bound] = totals.get(item.bound, 0.0) + item.seconds
    return dict(sorted(totals.items(), key=lambda pair: -pair[1]))


def _by_bound(explained: Explained) -> list[tuple[str, ...]]:
    return [
        (bound, quantity(seconds, "s"), _share(seconds, explained.step_s))
        for bound, seconds in seconds_by_bound(explained.operations).items()
    ]


def _cells(item: Operation, step_s: float) -> tuple[str, ...]:
    return (
        item.name.replace("_", " ") + _hidden(item),
        f"{item.count:,}",
        f"{item.seconds / MILLISECOND:.3f}",
        _share(item.seconds, step_s),
        item.bound,
        _amount(item.flops / GIGA),
        _amount(item.bytes / MEGA),
        _amount(item.network_bytes / MEGA),
        item.status,
    )


def _hidden(item: Operation) -> str:
    """What of an operation runs behind others, where any does."""
    return f" (+{item.hidden_s / MILLISECOND:.3f} ms hidden)" if item.hidden_s else ""


def _share(seconds: float, step_s: float) -> str:
    return f"{100 * seconds / step_s:.1f} %" if step_s else ""


def _amount(value: float) -> str:
    return number(value) if value else ""
