"""Which combinations of layout and expert-parallel features an engine runs: one rule per limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sim.errors import ScenarioError
from sim.llm.layout import Layout
from sim.scenario.deployment import DeploymentSection
from sim.scenario.scenario import Scenario
from sim.steptime.deepep import dispatch_limit_tokens

ALL = ("vllm", "sglang", "tensorrt-llm")
_LAYOUT, _ENGINE, _EPLB = "deployment.layout", "deployment.engine", "deployment.expert_imbalance.eplb"


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit of one or more engines.

    Attributes
    ----------
    engines : names of the engines that have it.
    broken : whether a deployment breaks it.
    key, problem, valid : what the message says.
    refused : whether the deployment is an error; otherwise it is marked by a warning.
    """

    engines: tuple[str, ...]
    broken: Callable[[DeploymentSection, Layout], bool]
    key: str
    problem: str
    valid: str
    refused: bool = True


def refuse_what_no_engine_runs(scenario: Scenario, layout: Layout) -> None:
    """Raise for the first rule that the scenario breaks and that its engine enforces.

    Raises
    ------
    ScenarioError : names the engine, the key and what would run.
    """
    for rule in _broken(scenario.deployment, layout):
        if rule.refused:
            raise ScenarioError(_words(rule, scenario), key=rule.key, valid=rule.valid, file=scenario.file)


def marked(scenario: Scenario, layout: Layout) -> list[str]:
    """One sentence for each rule that is broken in a way that the simulator can still compute."""
    return [
        f"{_words(rule, scenario)} ({rule.valid})." for rule in _broken(scenario.deployment, layout) if not rule.refused
    ]


def _broken(deployment: DeploymentSection, layout: Layout) -> Iterator[Rule]:
    for rule in RULES:
        if deployment.engine.name in rule.engines and rule.broken(deployment, layout):
            yield rule


def _words(rule: Rule, scenario: Scenario) -> str:
    return rule.problem.format(engine=scenario.deployment.engine.name)


def _spreads(layout: Layout) -> bool:
    """Whether tokens are dispatched to whole experts on other attention ranks."""
    return layout.enable_expert_parallel and layout.data_parallel_size > 1 and not _slices(layout)


def _slices(layout: Layout) -> bool:
    return layout.enable_expert_parallel and layout.expert_parallel_size != layout.stage_gpus


def _dispatches_too_much(deployment: DeploymentSection, layout: Layout) -> bool:
    engine = deployment.engine
    limit = engine.num_max_dispatch_tokens_per_rank or dispatch_limit_tokens()
    gpu_tokens = -(-engine.max_num_batched_tokens // layout.tensor_parallel_size)
    return engine.deepep_mode == "low_latency" and gpu_tokens > limit


RULES = (
    Rule(
        ALL,
        lambda deployment, layout: deployment.expert_imbalance.eplb is not None and layout.expert_parallel_size == 1,
        _EPLB,
        "a load balancer needs experts that are spread over GPUs",
        "with layout.enable_expert_parallel and more than one tensor x data rank",
    ),
    Rule(
        ("vllm",),
        lambda _, layout: _slices(layout),
        f"{_LAYOUT}.expert_parallel_size",
        "{engine} spreads experts over all tensor x data ranks and slices none",
        "tensor_parallel_size x data_parallel_size, or no expert_parallel_size",
    ),
    Rule(
        ALL,
        lambda deployment, layout: deployment.expert_imbalance.eplb is not None and _slices(layout),
        _EPLB,
        "{engine} balances whole experts only",
        "with expert_parallel_size equal to tensor x data ranks",
    ),
    Rule(
        ALL,
        lambda deployment, layout: deployment.engine.deepep_mode != "auto" and not _spreads(layout),
        f"{_ENGINE}.deepep_mode",
        "DeepEP is modelled between attention ranks that hold whole experts",
        "auto, or enable_expert_parallel with data_parallel_size above 1 and no sliced experts",
    ),
    Rule(
        ("tensorrt-llm",),
        lambda deployment, _: deployment.engine.deepep_mode != "auto",
        f"{_ENGINE}.deepep_mode",
        "{engine} chooses the dispatch mode itself",
        "auto",
    ),
    Rule(
        ("sglang",),
        _dispatches_too_much,
        f"{_ENGINE}.deepep_mode",
        "low-latency dispatch holds fewer tokens per GPU than max_num_batched_tokens over the tensor ranks",
        "a smaller max_num_batched_tokens, a larger num_max_dispatch_tokens_per_rank, or auto",
    ),
    Rule(
        ("vllm", "sglang"),
        lambda deployment, layout: deployment.engine.enable_two_batch_overlap and not _spreads(layout),
        f"{_ENGINE}.enable_two_batch_overlap",
        "{engine} overlaps dispatch and combine, which this layout does not have",
        "with enable_expert_parallel, data_parallel_size above 1 and no sliced experts",
    ),
    Rule(
        ("tensorrt-llm",),
        lambda deployment, _: deployment.engine.enable_two_batch_overlap,
        f"{_ENGINE}.enable_two_batch_overlap",
        "{engine} has no two-batch overlap",
        "false",
    ),
    Rule(
        ("vllm",),
        lambda deployment, layout: layout.redundant_experts > 0 and deployment.expert_imbalance.eplb is None,
        f"{_LAYOUT}.redundant_experts",
        "{engine} refuses redundant experts without its load balancer",
        "set expert_imbalance.eplb, or no redundant experts",
        refused=False,
    ),
    Rule(
        ("vllm",),
        lambda deployment, layout: deployment.engine.deepep_mode == "auto" and _spreads(layout),
        f"{_ENGINE}.deepep_mode",
        "{engine} runs all steps with the dispatch mode of its --all2all-backend, not each kind with its own",
        "set deepep_mode to what is served with; auto is the pair of a prefill and a decode deployment",
        refused=False,
    ),
)
"""Limits known of vLLM 0.24, SGLang 0.5.14 and TensorRT-LLM 1.3; divisibility is in `sim.llm.divisibility`."""
