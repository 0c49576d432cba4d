"""Which parallel layouts a model can take: heads, layers, experts and quantised blocks must divide evenly."""

from __future__ import annotations

from sim.llm.context_parallel import context_parallel_problems
from sim.llm.formats import weight_format
from sim.llm.layout import Layout
from sim.llm.spec import ModelSpec


def layout_problems(spec: ModelSpec, layout: Layout, *, weights: str | None = None) -> list[str]:
    """Every divisibility rule that a layout breaks, in plain words; empty when it can run.

    Parameters
    ----------
    weights : weight format; given, expert slices must also keep whole scale blocks (vLLM refuses others), once padded
        where engines pad them.
    """
    sizes = {
        "tensor_parallel_size": layout.tensor_parallel_size,
        "pipeline_parallel_size": layout.pipeline_parallel_size,
        "data_parallel_size": layout.data_parallel_size,
        "decode_context_parallel_size": layout.decode_context_parallel_size,
        "prefill_context_parallel_size": layout.prefill_context_parallel_size,
    }
    problems = [f"{name} {size} is below 1" for name, size in sizes.items() if size < 1]
    if problems:
        return problems
    return (
        _attention_problems(spec, layout)
        + context_parallel_problems(spec, layout)
        + _expert_problems(spec, layout, weights)
    )


def redundant_experts_needed(spec: ModelSpec, layout: Layout) -> int:
    """Fewest expert copies that make the experts divide the expert-parallel ranks (8 for 256 experts on 24)."""
    return -spec.num_experts % layout.expert_parallel_size


def _attention_problems(spec: ModelSpec, layout: Layout) -> list[str]:
    tp, pp = layout.tensor_parallel_size, layout.pipeline_parallel_size
    problems = []
    if spec.num_attention_heads % tp:
        problems.append(f"{spec.num_attention_heads} attention heads are not divisible by tensor_parallel_size {tp}")
    elif spec.attention == "gqa" and spec.num_kv_heads % tp and tp % spec.num_kv_heads:
        problems.append(
            f"{spec.num_kv_heads} key-value heads neither divide nor are divisible by tensor_parallel_size {tp}"
        )
    dense_ranks = tp if tp > 1 else layout.data_parallel_size
    if spec.num_dense_layers and spec.dense_intermediate_size % dense_ranks:
        problems.append(f"dense MLP width {spec.dense_intermediate_size} is not divisible by {dense_ranks} ranks")
    if pp > spec.num_layers:
        problems.append(f"pipeline_parallel_size {pp} exceeds the {spec.num_layers} layers")
    return problems


def _expert_problems(spec: ModelSpec, layout: Layout, weights: str | None) -> list[str]:
    if not spec.num_experts:
        dense = ["a dense model has no experts to spread"] if layout.enable_expert_parallel else []
        return dense + (["a dense model has no redundant experts"] if layout.redundant_experts else [])
    if layout.enable_expert_parallel:
        problems = _expert_parallel_problems(spec, layout)
        return problems or _slice_problems(spec, layout, weights)
    problems = ["redundant experts need expert parallelism"] if layout.redundant_experts else []
    if layout.expert_ranks is not None:
        problems.append(f"expert_parallel_size {layout.expert_ranks} needs enable_expert_parallel")
    return problems + _slice_problems(spec, layout, weights)


def _slice_problems(spec: ModelSpec, layout: Layout, weights: str | None) -> list[str]:
    """Why the GPUs that share an expert cannot divide it."""
    problems = []
    ranks, width = layout.expert_tensor_parallel_size, spec.moe_intermediate_size
    if width % ranks:
        problems.append(f"expert width {width} is not divisible by the {ranks} GPUs that slice each expert")
    elif weights is not None:
        encoding = weight_format(weights).routed_experts
        block = max(encoding.scale_rows, encoding.scale_columns)
        if ranks > 1 and encoding.slice_width(width, ranks) % block:
            problems.append(
                f"expert width {width} sliced over {ranks} GPUs gives {width // ranks}, which does not hold whole "
                f"blocks of {block} in {weights}"
            )
    return problems


def _expert_parallel_problems(spec: ModelSpec, layout: Layout) -> list[str]:
    ranks, redundant = layout.expert_parallel_size, layout.redundant_experts
    if redundant < 0:
        return [f"redundant_experts {redundant} is below 0"]
    if ranks < 1 or layout.stage_gpus % ranks:
        return [f"expert_parallel_size {ranks} does not divide the {layout.stage_gpus} tensor x data ranks"]
    if (spec.num_experts + redundant) % ranks:
        needed = redundant_experts_needed(spec, layout)
        have = f"{spec.num_experts} experts" + (f" with {redundant} redundant" if redundant else "")
        would = f"{needed} redundant experts would do" if needed else "none redundant would do"
        return [f"{have} are not divisible by expert-parallel size {ranks}; {would}"]
    return []
