"""FLOPs of decoding one token, of prefilling many, and of drafting one."""

from __future__ import annotations

from dataclasses import dataclass

from sim.llm.attention import attention_groups, decode_pair_flops, indexer_flops_per_key, prefill_pair_flops
from sim.llm.parameters import active_parameters, draft_parameters
from sim.llm.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Flops:
    """Floating-point operations (a multiply-add counts two).

    Attributes
    ----------
    weights : matrix products with weights, the head included.
    attention : scores and values of core attention.
    indexer : scores of the sparse-attention indexers.
    """

    weights: float
    attention: float
    indexer: float

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return self.weights + self.attention + self.indexer


def decode_flops(spec: ModelSpec, context_tokens: int) -> Flops:
    """FLOPs of generating one token.

    Parameters
    ----------
    context_tokens : context that the token sees, itself included.

    Checked: GLM-5.2 at 8,192 tokens 104,251,392,000; DeepSeek-V3 at 4,096 tokens 142,841,085,952.
    """
    keys = sum(group.layers * group.keys(context_tokens) for group in attention_groups(spec))
    return Flops(
        weights=2 * active_parameters(spec).matmul,
        attention=keys * decode_pair_flops(spec),
        indexer=indexer_flops_per_key(spec) * context_tokens,
    )


def prefill_flops(spec: ModelSpec, new_tokens: int, cached_tokens: int = 0) -> Flops:
    """FLOPs of prefilling `new_tokens` that follow `cached_tokens`, of which only the last new one needs the head.

    The indexer scores every cached key again, so its part grows with the cached prefix too.

    Checked: GLM-5.2, 8,192 new tokens: 809,897,460,498,432 from empty, 913,480,948,383,744 after 57,344 cached ones.
    """
    if new_tokens == 0:
        return Flops(0, 0, 0)
    active = active_parameters(spec)
    head = active.matmul - active.excluding_embedding_and_head
    keys = sum(group.layers * group.keys_sum(new_tokens, cached_tokens) for group in attention_groups(spec))
    indexed = new_tokens * cached_tokens + new_tokens * (new_tokens + 1) // 2
    return Flops(
        weights=2 * active.excluding_embedding_and_head * new_tokens + 2 * head,
        attention=keys * prefill_pair_flops(spec),
        indexer=indexer_flops_per_key(spec) * indexed,
    )


def draft_flops(spec: ModelSpec) -> int:
    """FLOPs of drafting one token, without its attention (3.07 GFLOP for GLM-5.2); 0 without MTP layers."""
    return 2 * draft_parameters(spec)
