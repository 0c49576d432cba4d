"""The step law of a scenario's file of step times, and what must be known about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from sim.engine.plan import EngineLimits
from sim.errors import ScenarioError
from sim.scenario.scenario import Scenario
from sim.simulation.engine_constants import constant
from sim.steptime.caveats import law_caveats
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.law import StepLaw
from sim.steptime.operation import Operation
from sim.steptime.step_rows import StepRow, read_step_rows
from sim.steptime.step_table import StepTable
from sim.steptime.tabulated import HostTime, TabulatedLaw, table_caveats
from sim.units import MICROSECOND, MILLISECOND

KEY = "deployment.engine.step_times"
HOST_CONSTANTS = ("host_overhead_ms", "prefill_overhead_ms", "sequence_overhead_us")
"""Engine constants that are added to sums of kernels."""


def step_times_law(scenario: Scenario, role: Literal["", "prefill", "decode"]) -> TabulatedLaw | None:
    """The law of the file that the scenario names, or None without one.

    Parameters
    ----------
    role : of the replicas; a prefill pool needs no decode steps, a decode pool none with prompts.

    Raises
    ------
    ScenarioError : the file cannot be used, or lacks the steps that the replicas take.
    """
    engine = scenario.deployment.engine
    if engine.step_times is None:
        return None
    path = scenario.locate(engine.step_times)
    if not path.is_file():
        raise ScenarioError(
            "there is no file of that name",
            key=KEY,
            value=engine.step_times,
            valid="a CSV of steps",
            file=scenario.file,
        )
    table = StepTable(read_step_rows(path), str(path))
    for wanted, found, what in (
        (role != "prefill", table.decode, "decode steps (decode_seqs above 0, prefill_tokens 0)"),
        (role != "decode", table.prefill, "steps with prompt tokens (prefill_tokens above 0)"),
    ):
        if wanted and not found:
            raise ScenarioError(f"has no {what}", key=KEY, value=engine.step_times, file=scenario.file)
    return TabulatedLaw(table, host_time(scenario))


def host_time(scenario: Scenario) -> HostTime:
    """What the engine adds to a table: nothing to whole steps."""
    if scenario.deployment.engine.step_times_scope == "step":
        return HostTime()
    stages = scenario.deployment.layout.pipeline_parallel_size
    step_ms, prompts_ms, sequence_us = (constant(scenario, name) for name in HOST_CONSTANTS)
    return HostTime(step_ms * stages * MILLISECOND, prompts_ms * MILLISECOND, sequence_us * MICROSECOND)


def step_caveats(
    kernels: KernelStepLaw,
    served: StepLaw,
    limits: EngineLimits,
    *,
    decode_seqs: int,
    context_tokens: int,
    prefill_tokens: int,
) -> Iterator[str]:
    """Where a run left the range of what its step times rest on.

    Parameters
    ----------
    decode_seqs, context_tokens : most sequences that decoded on one rank, and their mean context.
    prefill_tokens : mean prompt; 0 where none is computed.
    """
    if not isinstance(served, TabulatedLaw):
        yield from law_caveats(
            kernels,
            decode_seqs=decode_seqs,
            context_tokens=context_tokens,
            prefill_chunks=1 if prefill_tokens else 0,
            prefill_tokens=prefill_tokens,
        )
        return
    budget = limits.max_num_batched_tokens
    chunked = prefill_tokens > budget or limits.enable_prefix_caching
    yield from table_caveats(
        served.table,
        decode_seqs=decode_seqs,
        context_tokens=context_tokens,
        prefill_tokens=budget if prefill_tokens else 0,  # a burst of prompts fills it
        prefix_tokens=prefill_tokens if chunked else 0,
        ranks=limits.data_parallel_size,
    )


def table_operations(
    law: TabulatedLaw, seqs: int, context_tokens: int, prefills: Sequence[tuple[int, int]]
) -> list[Operation]:
    """The breakdown of a step that a table knows only as a whole."""
    whole_s = TabulatedLaw(law.table).mixed_s(seqs, seqs * context_tokens, 0, any_above=False, prefills=prefills)
    host_s = law.mixed_s(seqs, seqs * context_tokens, 0, any_above=False, prefills=prefills) - whole_s
    host_s += law.shared_s(0, 0, prefill=bool(prefills))
    lines = [Operation("step of the table", 1, 0.0, 0.0, 0.0, whole_s, "table", "step_times", "scenario")]
    if host_s > 0.0:
        lines.append(Operation("host overhead", 1, 0.0, 0.0, 0.0, host_s, "host", "engine", "measured"))
    return lines


def step_seconds(law: StepLaw, limits: EngineLimits, row: StepRow) -> float:
    """Duration of a step of a table under a law, with the same work on every attention rank."""
    cap, seqs = law.attention_cap_tokens, row.decode_seqs
    capped = seqs * min(row.context_tokens, cap) if cap else 0
    above = bool(seqs) and bool(cap) and row.context_tokens >= cap
    prefills = ((row.prefill_tokens, row.prefix_tokens),) if row.prefill_tokens else ()
    tokens = seqs * limits.verified_tokens + row.prefill_tokens
    lane_s = law.mixed_s(seqs, seqs * row.context_tokens, capped, above, prefills)
    return lane_s + law.shared_s(tokens * limits.data_parallel_size, tokens, bool(prefills))
