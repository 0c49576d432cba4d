"""One engine step of a scenario, operation by operation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.engine.plan import EngineLimits
from sim.errors import ScenarioError
from sim.scenario.scenario import Scenario
from sim.simulation.build import Built
from sim.simulation.check import check
from sim.simulation.engine_rules import marked
from sim.simulation.infeasible import Infeasible
from sim.simulation.memory import Planned
from sim.simulation.step_times import table_operations
from sim.steptime.caveats import law_caveats
from sim.steptime.expert_facts import expert_facts
from sim.steptime.explain import explain_step
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.law import StepLaw
from sim.steptime.operation import Operation
from sim.steptime.tabulated import TabulatedLaw, table_caveats

USUAL_SEQS = 16
USUAL_CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Explained:
    """The breakdown of one step.

    Attributes
    ----------
    decode_seqs, context_tokens : decoding sequences per attention rank, and the context of each.
    prefill_tokens, prefix_tokens : prompt tokens computed in the step per rank, and those computed before.
    operations : what the step spends its time on; empty when the scenario cannot work.
    experts : how expert parallelism fares in the step; empty without it.
    warnings : why the engine would never run the step, and where the law leaves its fit range.
    """

    planned: Planned
    infeasible: Infeasible | None
    decode_seqs: int
    context_tokens: int
    prefill_tokens: int
    prefix_tokens: int
    operations: tuple[Operation, ...]
    warnings: tuple[str, ...]
    experts: tuple[str, ...] = ()

    @property
    def step_s(self) -> float:
        """Duration of the step."""
        return sum(operation.seconds for operation in self.operations)


def explain(
    scenario: Scenario,
    *,
    seqs: int | None = None,
    context_tokens: int | None = None,
    prefill_tokens: int = 0,
    prefix_tokens: int = 0,
) -> Explained:
    """Break one step down; without figures, a decode step of 16 sequences per rank at a context of 4,096 tokens.

    Raises
    ------
    ScenarioError, CatalogError, ModelConfigError : the input cannot be used, or the model never runs such a step.
    """
    found = check(scenario)
    most = found.planned.spec.max_context_tokens
    decode_seqs = USUAL_SEQS if seqs is None else seqs
    context = min(USUAL_CONTEXT_TOKENS, most) if context_tokens is None else context_tokens
    _refuse_what_cannot_be(most, decode_seqs, context, prefill_tokens, prefix_tokens)
    if found.built is None:
        return Explained(found.planned, found.infeasible, decode_seqs, context, prefill_tokens, prefix_tokens, (), ())
    law, served, limits, planned = _which(found.built, decode_seqs, prefill_tokens)
    if isinstance(served, TabulatedLaw):
        return _of_table(scenario, served, limits, planned, (decode_seqs, context, prefill_tokens, prefix_tokens))
    operations = explain_step(
        law,
        decode_seqs=decode_seqs,
        context_tokens=context,
        prefill_tokens=prefill_tokens,
        prefix_tokens=prefix_tokens,
    )
    return Explained(
        planned,
        None,
        decode_seqs,
        context,
        prefill_tokens,
        prefix_tokens,
        tuple(operations),
        (
            *marked(scenario, planned.layout),
            *_impossible(limits, decode_seqs, context, prefill_tokens, prefix_tokens),
            *law_caveats(
                law,
                decode_seqs=decode_seqs,
                context_tokens=context,
                prefill_chunks=1 if prefill_tokens else 0,
                prefix_tokens=prefix_tokens,
                prefill_tokens=prefill_tokens,
            ),
        ),
        tuple(expert_facts(law, (decode_seqs + prefill_tokens) * found.planned.layout.data_parallel_size)),
    )


def _of_table(
    scenario: Scenario, law: TabulatedLaw, limits: EngineLimits, planned: Planned, step: tuple[int, int, int, int]
) -> Explained:
    """A step whose duration is read from a table."""
    seqs, context, prefill, prefix = step
    caveats = table_caveats(
        law.table,
        decode_seqs=seqs,
        context_tokens=context,
        prefill_tokens=prefill,
        prefix_tokens=prefix,
        ranks=limits.data_parallel_size,
    )
    operations = table_operations(law, seqs, context, ((prefill, prefix),) if prefill else ())
    warnings = (
        *marked(scenario, planned.layout),
        *_impossible(limits, seqs, context, prefill, prefix),
        *(f"step times: {caveat}" for caveat in caveats),
    )
    return Explained(planned, None, *step, tuple(operations), warnings)


def _which(built: Built, seqs: int, prefill_tokens: int) -> tuple[KernelStepLaw, StepLaw, EngineLimits, Planned]:
    """Law, limits and plan of the replicas that run such a step; of two pools, prompts belong to one only."""
    cluster = built.cluster
    if (
        cluster.decode is None
        or built.decode_law is None
        or built.decode_served is None
        or built.decode_planned is None
    ):
        return built.law, built.served, cluster.limits, built.planned
    if seqs and prefill_tokens:
        raise ScenarioError(
            "no replica of two pools decodes and prefills in one step",
            key="--prefill",
            value=prefill_tokens,
            valid="with --seqs 0",
        )
    if prefill_tokens:
        return built.law, built.served, cluster.limits, built.planned
    return built.decode_law, built.decode_served, cluster.decode.limits, built.decode_planned


def _refuse_what_cannot_be(most_tokens: int, seqs: int, context: int, prefill: int, prefix: int) -> None:
    """Raise for steps that no engine runs with this model; the keys are the flags of the command line."""
    if not seqs and not prefill:
        raise ScenarioError("a step needs decoding sequences (--seqs) or prompt tokens (--prefill); both are 0")
    if prefix and not prefill:
        raise ScenarioError(
            "a prefix stands before prompt tokens of the step", key="--prefix", value=prefix, valid="with --prefill"
        )
    for flags, tokens in (("--context", context if seqs else 0), ("--prefill plus --prefix", prefill + prefix)):
        if tokens > most_tokens:
            raise ScenarioError(
                "longer than the model's context", key=flags, value=tokens, valid=f"at most {most_tokens}"
            )


def _impossible(limits: EngineLimits, seqs: int, context: int, prefill: int, prefix: int) -> Iterator[str]:
    """Why the engine of the scenario would never run such a step."""
    for what, asked, most in (
        ("sequences per rank", seqs, limits.max_num_seqs),
        ("tokens in one step", seqs * limits.verified_tokens + prefill, limits.max_num_batched_tokens),
        ("tokens in the cache of one rank", seqs * context, limits.num_kv_blocks * limits.block_size),
        ("tokens in one request", max(context if seqs else 0, prefill + prefix), limits.longest_request_tokens),
    ):
        if asked > most:
            yield f"the engine never runs this step: {asked:,} {what}, where it admits {most:,}."
