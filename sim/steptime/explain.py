"""The breakdown of one step: what runs, what bounds it, where its coefficients come from."""

from __future__ import annotations

from dataclasses import replace

from sim.errors import ScenarioError
from sim.steptime.explain_overlap import explain_halves
from sim.steptime.hardware import FITTED_GPUS
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.operation import Operation
from sim.steptime.overlap import TwoBatchLaw
from sim.steptime.speculative import SpeculativeStepLaw


def explain_step(
    law: KernelStepLaw,
    *,
    decode_seqs: int,
    context_tokens: int,
    prefill_tokens: int = 0,
    prefix_tokens: int = 0,
) -> list[Operation]:
    """Operations of one step on its slowest GPU, in the order in which a layer runs them.

    Every attention rank is given the same work. The seconds add up to lane plus shared seconds of the law.

    Parameters
    ----------
    decode_seqs : sequences that decode on each rank (each microbatch, under pipeline parallelism). With speculative
        decoding the drafts come first, then the lines of the verification.
    context_tokens : context of each of them, the token being computed included.
    prefill_tokens : new tokens of one prompt chunk per rank; 0 for a pure decode step.
    prefix_tokens : tokens computed or cached before that chunk.

    Raises
    ------
    ScenarioError : a negative number, no work at all, or decoding sequences without context.
    """
    given = {
        "decode_seqs": decode_seqs,
        "context_tokens": context_tokens,
        "prefill_tokens": prefill_tokens,
        "prefix_tokens": prefix_tokens,
    }
    for key, value in given.items():
        if value < 0:
            raise ScenarioError("out of range", key=key, value=value, valid="at least 0")
    if not decode_seqs + prefill_tokens or (decode_seqs and not context_tokens):
        raise ScenarioError(
            "a step needs decode_seqs with context_tokens, or prefill_tokens",
            key="decode_seqs",
            value=decode_seqs,
        )
    prefills = ((prefill_tokens, prefix_tokens),) if prefill_tokens else ()
    if isinstance(law, TwoBatchLaw) and law.splits(decode_seqs + prefill_tokens, prefill=bool(prefills)):
        *kernels, host = explain_halves(law, decode_seqs, context_tokens, prefills)
    else:
        *kernels, host = _whole(law, decode_seqs, context_tokens, prefills)
    if law.inputs.hardware.gpu not in FITTED_GPUS:
        # Efficiencies measured on another GPU are assumed here, whatever their rows say.
        kernels = [line if line.bound == "host" else replace(line, status="assumed") for line in kernels]
    return [*kernels, host]


def _whole(
    law: KernelStepLaw, decode_seqs: int, context_tokens: int, prefills: tuple[tuple[int, int], ...]
) -> list[Operation]:
    """Operations of a step that is computed in one piece, host overhead last."""
    cap = law.attention_cap_tokens
    context = decode_seqs * context_tokens
    capped = decode_seqs * min(context_tokens, cap) if cap else 0
    above = bool(cap) and bool(decode_seqs) and context_tokens >= cap
    divided = law.on_rank(prefills)  # what one group of tensor-parallel GPUs computes of the chunks
    rank_tokens = decode_seqs * law.inputs.queries + sum(new for new, _ in divided)
    attention = law.parts.attention
    lines = [line.explain(context, capped, above) for line in attention.decode(decode_seqs)] if decode_seqs else []
    if prefills:
        mixed = attention.explain_mixed(decode_seqs, context, capped, above, divided)
        # A mixed step takes at least the attention time of the decode step in it (`KernelStepLaw.mixed_s`).
        lines = mixed if _seconds(mixed) >= _seconds(lines) else lines
    ranks = law.inputs.layout.data_parallel_size
    held = (decode_seqs, context, capped, above, prefills)
    drafts = law.explain_drafts(*held) if isinstance(law, SpeculativeStepLaw) else []
    tokens = decode_seqs * law.inputs.queries + sum(new for new, _ in prefills)
    return [
        *drafts,
        *lines,
        *law.lane_operations(rank_tokens, decode_seqs * law.inputs.logits + len(divided)),
        *law.shared_operations(tokens * ranks, tokens, prefill=bool(prefills)),
    ]


def _seconds(lines: list[Operation]) -> float:
    return sum(line.seconds for line in lines)
