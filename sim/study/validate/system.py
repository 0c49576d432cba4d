"""The scenario that a measured point describes, or why there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from sim.errors import ScenarioError, SimError
from sim.scenario.load import parse
from sim.scenario.scenario import Scenario
from sim.simulation.memory import Planned, misfit
from sim.simulation.roles import roles_of
from sim.study.validate.launch import drafting, drafts_of, engine_limits, launch_of
from sim.study.validate.phase import Phase, phase_of, phase_scenario
from sim.study.validate.point import MeasuredPoint
from sim.study.validate.pools import ROUTER, disaggregation, pools_of

# names in publications, and those of the catalog
MODELS: Final = (
    (r"glm-5\.2", "glm-5.2"),
    (r"glm-5(\.1)?\b", "glm-5"),
    (r"deepseek-(r1|v3)\b(?!\.)", "deepseek-v3-r1"),
    (r"deepseek-v3\.2", "deepseek-v3.2"),
    (r"qwen3-235b", "qwen3-235b-a22b"),
    (r"gpt-oss-120b", "gpt-oss-120b"),
    (r"minimax-m2(?!\d)", "minimax-m2"),
    (r"llama-3(\.x|\.1)?-70b", "llama-3.1-70b"),
    (r"llama-3(\.x|\.1)?-405b", "llama-3.1-405b"),
    (r"mixtral-8x7b", "mixtral-8x7b"),
    (r"mixtral-8x22b", "mixtral-8x22b"),
    (r"kimi-k2\b(?!\.)", "kimi-k2"),
)
GPUS: Final = (
    (r"^h100 sxm", "h100-sxm-80gb"),
    (r"^h200 sxm", "h200-sxm-141gb"),
    (r"^a100 sxm", "a100-sxm-80gb"),
    (r"^h800 sxm", "h800-sxm-80gb"),
)
ENGINES: Final = ((r"sglang", "sglang"), (r"tensorrt-llm|trt", "tensorrt-llm"), (r"vllm", "vllm"))
WEIGHTS: Final = {"bf16": "bf16", "fp8": "fp8_block", "fp4": "mxfp4"}
ASSUMED_LENGTHS_FRAC: Final = (
    0.02  # where fixed lengths are only assumed: alike to the token, callers would keep in step
)
# merged as SGLang pull request 30531 and TensorRT-LLM 16558
INDEXERS_OF_OWNERS_SINCE: Final = {"sglang": "2026-08", "tensorrt-llm": "2026-07-15"}
FOREVER_S: Final = 1e8


class NotModelledError(SimError):
    """A measured point that no scenario stands for, with the reason."""


@dataclass(frozen=True, slots=True)
class System:
    """A measured point as the simulator sees it.

    Attributes
    ----------
    scenario : what is simulated, from the first request to the last.
    gpus : GPUs that throughput is divided by.
    family : model, GPU, engine, and kind: aggregated, aggregated with drafts, or disaggregated.
    phase : the one phase that was measured, where it was one alone.
    """

    scenario: Scenario
    gpus: int
    family: tuple[str, str, str, str]
    phase: Phase | None = None


def system_of(point: MeasuredPoint) -> System:
    """The system and load of a point.

    Raises
    ------
    NotModelledError : something that it states, or leaves open, cannot be simulated.
    """
    model = _known("model", point.words["model"], MODELS)
    gpu = _known("GPU", point.words["hardware"], GPUS)
    engine = _known("engine", point.words["engine"], ENGINES)
    gpus = point.count("n_gpus", 0)
    phase, disaggregated = phase_of(point), point.words["mode"] == "disagg"
    drafts = drafting(point, launch_of(point, engine, model))
    kind = "disaggregated" if disaggregated else "aggregated with drafts" if drafts else "aggregated"
    values: dict[str, Any] = {
        "model": {"name": model, "weights": _weights(point)},
        "hardware": {"gpu": gpu},
        "router": {"request_timeout_s": FOREVER_S},
    }
    if phase is not None:
        if "MTP" in point.words["layout"]:
            raise NotModelledError("drafts with two-batch overlap are not modelled")
        values["deployment"] = phase_scenario(point, phase)
        values["workload"] = {"arrivals": {"process": "closed_loop", "concurrency": 1}, **_fixed(phase.prompt_tokens)}
    else:
        values["deployment"] = _pools(point, engine, model) if disaggregated else _replica(point, engine, model, gpus)
        values["workload"] = _workload(point)
        values["run"] = _run(point)
        if disaggregated:
            values["router"]["policy"] = ROUTER
    scenario, planned = _planned(values)
    for each in planned:
        problem = misfit(scenario, each)
        if problem is not None:
            raise NotModelledError(problem.problem)
    return System(scenario, gpus, (model, gpu, engine, kind), phase)


def _run(point: MeasuredPoint) -> dict[str, Any]:
    return {
        "horizon_s": FOREVER_S,
        "warmup_s": 0.0,
        "replications": 1,
        "max_requests": _requests(point),
        "record_requests": True,
    }


def _fixed(tokens: int) -> dict[str, Any]:
    return {"input_tokens": {"law": "constant", "tokens": tokens}, "output_tokens": {"law": "constant", "tokens": 1}}


def _replica(point: MeasuredPoint, engine: str, model: str, gpus: int) -> dict[str, Any]:
    """One replica that both prefills and decodes."""
    layout = _layout(point, gpus)
    return {"layout": layout, "engine": _engine(point, engine, model, layout)}


def _pools(point: MeasuredPoint, engine: str, model: str) -> dict[str, Any]:
    """A pool for prompts and one for answers."""
    pools = pools_of(point)
    if pools is None:
        raise NotModelledError("disaggregated, and the layout of prefill and decode is not in the columns")
    launch = launch_of(point, engine, model)
    chunk = int(engine_limits(point, launch, drafts=False)["max_num_batched_tokens"])
    return {
        "engine": {"name": engine, "scheduler": "vllm"},
        "disaggregation": disaggregation(point, pools, chunk),
    }


def _planned(values: dict[str, Any]) -> tuple[Scenario, tuple[Planned, ...]]:
    """The scenario and the memory plans of its roles; experts are spread where no engine could slice them.

    Exports often say `ep 1` of a system whose experts are too narrow to be sliced over its GPUs.
    """
    try:
        scenario = parse(values)
        try:
            return scenario, _plans(scenario)
        except ScenarioError as error:
            if "expert width" not in str(error):
                raise
            spread = scenario.with_({"deployment.layout.enable_expert_parallel": True})
            return spread, _plans(spread)
    except SimError as error:
        raise NotModelledError(str(error)) from None


def _plans(scenario: Scenario) -> tuple[Planned, ...]:
    return tuple(role.planned for role in roles_of(scenario))


def _known(what: str, name: str, patterns: tuple[tuple[str, str], ...]) -> str:
    for pattern, known in patterns:
        if re.search(pattern, name.lower()):
            return known
    raise NotModelledError(f"{what} {name!r} is not in the catalog")


def _weights(point: MeasuredPoint) -> str:
    precision = point.words["precision"].lower()
    if precision not in WEIGHTS:
        raise NotModelledError(f"precision {precision!r} has no weight format")
    return WEIGHTS[precision]


def _layout(point: MeasuredPoint, gpus: int) -> dict[str, Any]:
    """Attention ranks divide the GPUs of a stage; tensor parallelism is what is left of them for one rank."""
    if not gpus:
        raise NotModelledError("number of GPUs is unknown")
    if "tp" not in point.numbers:
        raise NotModelledError("parallel layout is not stated")
    stages, ranks, experts = point.count("pp"), point.count("attn_dp"), point.count("ep")
    if ranks > gpus:
        ranks = 1  # an artefact of exports that multiply columns
    if gpus % (stages * ranks):
        raise NotModelledError(f"{gpus} GPUs do not divide into {stages} stages and {ranks} attention ranks")
    tensor = gpus // (stages * ranks)
    layout = {
        "tensor_parallel_size": tensor,
        "pipeline_parallel_size": stages,
        "data_parallel_size": ranks,
        "enable_expert_parallel": experts > 1,
    }
    if 1 < experts < tensor * ranks:
        layout["expert_parallel_size"] = experts
    return layout


def _engine(point: MeasuredPoint, engine: str, model: str, layout: dict[str, Any]) -> dict[str, Any]:
    """Limits from the command line where the note quotes one, else the script's or the engine's own."""
    flags, ranks = point.flags, int(layout["data_parallel_size"])
    callers = point.count("load_value", 0) if "closed" in point.words["load_kind"] else 0
    seqs = max(256, callers)
    for flag in ("max-running-requests", "max-num-seqs"):
        if flags.get(flag, "").isdigit():
            seqs = max(1, int(flags[flag]) // ranks)
    launch = launch_of(point, engine, model)
    drafts = drafting(point, launch)
    values: dict[str, Any] = {"name": engine, "max_num_seqs": seqs, "indexer_policy": _indexer_policy(point, engine)}
    values |= engine_limits(point, launch, drafts=drafts)
    chunk = int(flags.get("chunked-prefill-size", "") or values["max_num_batched_tokens"])
    if drafts:
        depth = drafts_of(point, launch, ranks)
        if not depth:
            raise NotModelledError("speculative decoding with a number of drafts that is not stated")
        values["num_speculative_tokens"] = depth
        values["max_num_seqs"] = seqs = max(16, callers)
    budget = chunk // ranks if engine == "sglang" else chunk
    values["max_num_batched_tokens"] = max(budget, seqs * (1 + values.get("num_speculative_tokens", 0)))
    for flag in ("mem-fraction-static", "gpu-memory-utilization"):
        if flag in flags:
            values["gpu_memory_utilization"] = float(flags[flag])
    if flags.get("kv-cache-dtype", "").startswith("fp8"):
        values["kv_cache_dtype"] = "fp8"
    if engine == "sglang" and ranks == int(layout["pipeline_parallel_size"]) == 1 and not drafts:
        values["enable_mixed_chunk"] = "enable-mixed-chunk" in flags
    return values


def _indexer_policy(point: MeasuredPoint, engine: str) -> str:
    """Engines gave every layer an indexer cache before the date of the change."""
    changed = INDEXERS_OF_OWNERS_SINCE.get(engine, "")
    return "all_layers" if point.words.get("date", "") < changed else "owners"


def _workload(point: MeasuredPoint) -> dict[str, Any]:
    numbers, kind = point.numbers, point.words["load_kind"].lower()
    if "isl" not in numbers or "osl" not in numbers:
        raise NotModelledError("prompt or output length is not stated")
    if "sharegpt" in point.words["length_dist"].lower():
        raise NotModelledError("only the means of natural lengths are stated")
    if "closed" in kind:
        arrivals: dict[str, Any] = {"process": "closed_loop", "concurrency": point.count("load_value")}
    elif "rate" in kind:
        arrivals = {"process": "poisson", "rate_rps": numbers["load_value"]}
    elif "offline" in kind and "n_requests" in numbers:
        arrivals = {"process": "closed_loop", "concurrency": point.count("n_requests")}
    else:
        raise NotModelledError(f"load {kind!r} is not one that can be simulated")
    return {
        "arrivals": arrivals,
        "input_tokens": _length(point, numbers["isl"]),
        "output_tokens": _length(point, numbers["osl"]),
    }


def _length(point: MeasuredPoint, nominal: float) -> dict[str, Any]:
    """Uniform between the stated share of the nominal length and the whole of it, or constant.

    Where fixed lengths are no more than assumed, they scatter a little: callers whose requests are alike to the token
    would come back together for ever, and each prompt would wait for all others.
    """
    tokens = max(1, round(nominal))
    if "assumed" in point.words["length_dist"]:
        least, most = (max(1, round((1.0 + side * ASSUMED_LENGTHS_FRAC) * tokens)) for side in (-1.0, 1.0))
        return {"law": "uniform", "min_tokens": least, "max_tokens": most}
    spread = re.match(r"uniform\[([0-9.]+),", point.words["length_dist"].replace(" ", ""))
    if spread is None:
        return {"law": "constant", "tokens": tokens}
    return {"law": "uniform", "min_tokens": max(1, round(float(spread.group(1)) * tokens)), "max_tokens": tokens}


def _requests(point: MeasuredPoint) -> int:
    """As stated; else ten for each caller, as the InferenceX harness sends."""
    return point.count("n_requests", 10 * point.count("load_value"))
