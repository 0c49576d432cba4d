"""Step times asked of NVIDIA AIConfigurator, where it is installed: `pip install 'moe-capacity-sim[aic]'`.

It is asked for a grid of steps of the scenario's layout; the answers become a table of steps, so that a run with them
does not depend on a package whose tables change. They are sums of kernels: a scenario uses them with
`step_times_scope: kernels`. Written for and run with version 0.12.0: DeepSeek-V3 as DP16/EP16 on 16 H100 under SGLang
gives 38.3 ms for 32 sequences per GPU at a context of 4,096, as in the published export.

Not asked: steps that decode and prefill at once (its estimate ties their context to the length of the prompt), drafts,
context parallelism.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from sim.errors import MissingPackageError, ScenarioError
from sim.scenario.scenario import Scenario
from sim.simulation.memory import layout_of
from sim.steptime.step_rows import StepRow
from sim.units import MILLISECOND

# names of the catalog, and those of AIConfigurator
SYSTEMS: Final = {
    "h100-sxm-80gb": "h100_sxm",
    "h200-sxm-141gb": "h200_sxm",
    "a100-sxm-80gb": "a100_sxm",
    "b200-sxm-180gb": "b200_sxm",
}
BACKENDS: Final = {"sglang": "sglang", "vllm": "vllm", "tensorrt-llm": "trtllm"}
MODELS: Final = {
    "glm-5.2": "zai-org/GLM-5.2-FP8",
    "deepseek-v3-r1": "deepseek-ai/DeepSeek-V3",
    "mixtral-8x7b": "mistralai/Mixtral-8x7B-v0.1",
}
SEQS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXTS: Final = (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
PROMPTS: Final = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
PREFIXES: Final = (0, 8192, 32768, 98304)


class Estimator(Protocol):
    """What is asked of AIConfigurator: milliseconds of one step."""

    def predict_decode_latency(self, bs: int, isl: int) -> float:
        """A decode step of `bs` sequences per rank that hold `isl` tokens before it."""
        ...

    def predict_prefill_latency(self, bs: int, isl: int, prefix: int) -> float:
        """A step that computes the last `isl - prefix` tokens of `bs` prompts per rank."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Steps that were answered, and how many were not.

    Attributes
    ----------
    rows : the answers.
    refused : steps for which there are no tables.
    reason : the first refusal in the estimator's words; empty without one.
    """

    rows: tuple[StepRow, ...]
    refused: int
    reason: str


def aic_steps(scenario: Scenario, model: str | None = None) -> Asked:
    """The grid of steps for the model, GPU, engine and layout of a scenario.

    Parameters
    ----------
    model : name under which AIConfigurator knows the model; without it, one of `MODELS`.

    Raises
    ------
    MissingPackageError : the package is not installed.
    ScenarioError : it does not know the system, or has no tables for it.
    """
    estimator, refusals = _estimator(scenario, model)
    return ask(estimator, refusals)


def ask(estimator: Estimator, refusals: tuple[type[Exception], ...]) -> Asked:
    """Ask for every step of the grid.

    Raises
    ------
    ScenarioError : no decode step, or no step with prompts, was answered.
    """
    rows, reasons = [], []
    for step, milliseconds in _questions(estimator):
        try:
            rows.append(StepRow(*step, milliseconds() * MILLISECOND))
        except refusals as error:
            reasons.append(str(error))
    reason = reasons[0] if reasons else ""
    for what in ("decode_seqs", "prefill_tokens"):
        if not any(getattr(row, what) for row in rows):
            raise ScenarioError(f"AIConfigurator gives no steps with {what} of this system: {reason}")
    return Asked(tuple(rows), len(reasons), reason)


def _questions(estimator: Estimator) -> Iterator[tuple[tuple[int, int, int, int], Callable[[], float]]]:
    """Every step of the grid, and how to ask for its milliseconds; a context counts the token being computed."""
    for seqs in SEQS:
        for context in CONTEXTS:
            yield (seqs, context, 0, 0), partial(estimator.predict_decode_latency, seqs, context - 1)
    for tokens in PROMPTS:
        for prefix in PREFIXES:
            yield (0, 0, tokens, prefix), partial(estimator.predict_prefill_latency, 1, tokens + prefix, prefix)


def _estimator(scenario: Scenario, model: str | None) -> tuple[Estimator, tuple[type[Exception], ...]]:
    """The compiled estimator of a layout, and the errors by which it refuses.

    Expert parallelism over several nodes needs the resolver of its communication: without it, an all-gather is priced.
    """
    system, backend, name = _names(scenario, model)
    try:
        import aiconfigurator_core
        from aiconfigurator.sdk.moe_comm_resolver import resolve_model_config_moe_comm
        from aiconfigurator_core.sdk import perf_database
        from aiconfigurator_core.sdk.config_builders import build_model_config
        from aiconfigurator_core.sdk.engine import EngineHandle, build_engine_spec_json
        from aiconfigurator_core.sdk.errors import PerfDataNotAvailableError
        from aiconfigurator_core.sdk.models import get_model
        from aiconfigurator_core.sdk.utils import HuggingFaceDownloadError
    except ImportError as error:
        raise MissingPackageError(
            f"AIConfigurator cannot be imported ({error}); install it with: pip install 'moe-capacity-sim[aic]'"
        ) from None
    layout = layout_of(scenario)
    width = layout.tensor_parallel_size * layout.data_parallel_size
    experts = (layout.expert_ranks or width) if layout.enable_expert_parallel else 1
    refusals = (PerfDataNotAvailableError, HuggingFaceDownloadError, ValueError, KeyError)
    try:
        config = build_model_config(
            layout.tensor_parallel_size,
            layout.pipeline_parallel_size,
            layout.data_parallel_size,
            width // experts,
            experts,
        )
        version = perf_database.resolve_query_version(system, backend, "current", systems_paths=None)
        database = perf_database.get_database(system, backend, version)
        phases = ("context", "generation")
        resolve_model_config_moe_comm(
            config, model_path=name, backend_name=backend, database=database, required_phases=phases
        )
        spec = build_engine_spec_json(
            get_model(name, config, backend),
            model_path=name,
            system=system,
            backend=backend,
            backend_version=database.version,
            kv_block_size=None,
            systems_path=None,
            nextn=0,
            database=database,
        )
        handle: Any = EngineHandle(bytes(aiconfigurator_core.engine_spec_bincode_from_json(spec)))
    except refusals as error:
        raise ScenarioError(f"AIConfigurator does not know this system: {error}", file=scenario.file) from None
    return handle, refusals


def _names(scenario: Scenario, model: str | None) -> tuple[str, str, str]:
    gpu, engine = scenario.hardware.gpu, scenario.deployment.engine
    if gpu not in SYSTEMS:
        raise ScenarioError(
            "AIConfigurator is not asked for this GPU", key="hardware.gpu", value=gpu, valid=", ".join(SYSTEMS)
        )
    name = model or MODELS.get(scenario.model.name, "")
    if not name:
        raise ScenarioError(
            "has no name in AIConfigurator here; give it with --model", key="model.name", value=scenario.model.name
        )
    layout = scenario.deployment.layout
    for key in ("decode_context_parallel_size", "prefill_context_parallel_size"):
        if getattr(layout, key) > 1:
            raise ScenarioError(
                "AIConfigurator is not asked for it",
                key=f"deployment.layout.{key}",
                value=getattr(layout, key),
                valid="1",
            )
    if engine.num_speculative_tokens:
        raise ScenarioError(
            "a table of steps knows no drafts",
            key="deployment.engine.num_speculative_tokens",
            value=engine.num_speculative_tokens,
            valid="0",
        )
    return SYSTEMS[gpu], BACKENDS[engine.name], name
