"""Which layouts may divide a sequence's cache, or a prompt, over GPUs: the rules of vLLM."""

from __future__ import annotations

from sim.llm.layout import Layout
from sim.llm.spec import ModelSpec


def context_parallel_problems(spec: ModelSpec, layout: Layout) -> list[str]:
    """Every rule of context parallelism that a layout breaks, in plain words; empty when it can run.

    Decode context parallelism takes the place of copies, so it needs copies: a latent is on all tensor ranks, a
    key-value head on tensor_parallel_size / num_kv_heads of them (vLLM pull requests 23734 and 24864). Prefill context
    parallelism is there for latent attention without data ranks (pull request 46570; with data ranks 57075 was open).
    """
    dcp, pcp = layout.decode_context_parallel_size, layout.prefill_context_parallel_size
    problems = []
    if dcp > 1 and pcp > 1:
        problems.append(
            "decode_context_parallel_size and prefill_context_parallel_size above 1 are not known to run together"
        )
    if dcp > 1:
        problems += _decode_problems(spec, layout)
    if pcp > 1:
        problems += _prefill_problems(spec, layout)
    return problems


def _decode_problems(spec: ModelSpec, layout: Layout) -> list[str]:
    tp, dcp = layout.tensor_parallel_size, layout.decode_context_parallel_size
    if tp % dcp:
        return [f"tensor_parallel_size {tp} is not divisible by decode_context_parallel_size {dcp}"]
    if spec.window_layers or spec.recurrent_layers:
        return [
            f"{spec.name} has windows or recurrent states, whose division by decode_context_parallel_size is not known"
        ]
    if spec.attention == "mla":
        return []
    heads, kv_heads = spec.num_attention_heads, spec.num_kv_heads
    problems = []
    if spec.indexer_layers:
        problems.append(f"the indexer of {spec.name} is not known to run with decode_context_parallel_size {dcp}")
    if dcp * kv_heads > tp:
        problems.append(
            f"{kv_heads} key-value heads on tensor_parallel_size {tp} leave {max(1, tp // kv_heads)} copies, fewer "
            f"than decode_context_parallel_size {dcp}"
        )
    if heads // kv_heads % dcp:
        problems.append(
            f"{heads // kv_heads} query heads per key-value head are not divisible by "
            f"decode_context_parallel_size {dcp}"
        )
    return problems


def _prefill_problems(spec: ModelSpec, layout: Layout) -> list[str]:
    pcp = layout.prefill_context_parallel_size
    problems = []
    if spec.attention != "mla" or spec.window_layers or spec.recurrent_layers:
        problems.append(f"prefill_context_parallel_size {pcp} needs latent attention throughout; {spec.name} has other")
    if layout.data_parallel_size > 1:
        problems.append(
            f"prefill_context_parallel_size {pcp} does not run with data_parallel_size {layout.data_parallel_size}"
        )
    return problems
