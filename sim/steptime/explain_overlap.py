"""The breakdown of a step that is computed in two overlapping halves."""

from __future__ import annotations

from dataclasses import replace

from sim.steptime.operation import Operation
from sim.steptime.overlap import Half, TwoBatchLaw, halves


def explain_halves(
    law: TwoBatchLaw, decode_seqs: int, context_tokens: int, prefills: tuple[tuple[int, int], ...]
) -> list[Operation]:
    """Operations of both halves added up, host overhead last; network lines say how much of them is hidden."""
    lines: list[Operation] = []
    parts = halves(decode_seqs, prefills)
    for half in parts:
        lines += _attention(law, half, context_tokens)
        lines += [line.explain(half.tokens) for line in law.parts.per_token if half.tokens]
    lines += [line.explain(decode_seqs + len(prefills)) for line in law.parts.per_logit]
    tokens, ranks, prefill = sum(half.tokens for half in parts), law.inputs.layout.data_parallel_size, bool(prefills)
    total = tokens * ranks
    for share in (-(-total // 2), total // 2):
        lines += [line.explain(share) for line in law.parts.experts[prefill]]
    network: list[Operation] = []
    for share in (-(-tokens // 2), tokens // 2):
        network += [line.explain(share) for line in law.parts.network[prefill]]
    hidden_frac = law.hidden_s(total, tokens, prefill=prefill) / max(_seconds(network), 1e-30)
    network = [replace(n, seconds=n.seconds * (1.0 - hidden_frac), hidden_s=n.seconds * hidden_frac) for n in network]
    amortised = [line.explain(total) for line in law.parts.amortised]
    return [*_merged([*lines, *network]), *amortised, law.host_operation()]


def _attention(law: TwoBatchLaw, half: Half, context_tokens: int) -> list[Operation]:
    """Attention of one half, by the rules of `KernelStepLaw.mixed_s`."""
    attention, cap, seqs = law.parts.attention, law.attention_cap_tokens, half.seqs
    context = seqs * context_tokens
    capped = seqs * min(context_tokens, cap) if cap else 0
    above = bool(cap) and bool(seqs) and context_tokens >= cap
    lines = [line.explain(context, capped, above) for line in attention.decode(seqs)] if seqs else []
    if half.prefills:
        mixed = attention.explain_mixed(seqs, context, capped, above, half.prefills)
        lines = mixed if _seconds(mixed) >= _seconds(lines) else lines
    return lines


def _merged(lines: list[Operation]) -> list[Operation]:
    """One line per name, in order of appearance, bound as the longer of its parts."""
    found: dict[str, Operation] = {}
    for line in lines:
        before = found.get(line.name)
        if before is None:
            found[line.name] = line
            continue
        found[line.name] = replace(
            before,
            count=before.count + line.count,
            flops=before.flops + line.flops,
            bytes=before.bytes + line.bytes,
            network_bytes=before.network_bytes + line.network_bytes,
            seconds=before.seconds + line.seconds,
            hidden_s=before.hidden_s + line.hidden_s,
            bound=before.bound if before.seconds >= line.seconds else line.bound,
        )
    return list(found.values())


def _seconds(lines: list[Operation]) -> float:
    return sum(line.seconds for line in lines)
