"""The step-time law of speculative decoding by multi-token prediction.

A step verifies the k drafts of every decoding sequence together with its last token, so the main model computes k + 1
tokens per sequence: projections, dense layers, router, experts, dispatch and head at k + 1 times the sequences, while
weights and (but for sparse attention) the cache are read once. Then it drafts k tokens one after another with one
layer and the head. The first draft runs over all verified tokens and over prompt chunks, because the layer has a cache
of its own to fill; each further one over one token per sequence.

Not charged: drafts for prompts that were completed in the step, and drafts in steps that decode nothing beyond the
first. Queries of one sequence count the context of the first. No such step was measured: coefficients are those of
plain decoding, with more rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sim.catalog.tables import fact, number
from sim.steptime.draft_layer import draft_inputs, draft_parts, shares_choice
from sim.steptime.inputs import LawInputs
from sim.steptime.kernel import KernelStepLaw, LawParts
from sim.steptime.law import DecodeCoefficients
from sim.steptime.law_parts import law_parts
from sim.steptime.operation import Operation
from sim.units import MILLISECOND


class SpeculativeStepLaw(KernelStepLaw):
    """`sim.steptime.law.DraftingLaw`: the law of the verifying step, with its drafts.

    Attributes
    ----------
    inputs, parts : those of the verification.
    first, further : the draft over all new tokens, and a draft over one token per sequence.
    num_further : drafts after the first.
    """

    def __init__(
        self, inputs: LawInputs, parts: LawParts, first: KernelStepLaw, further: KernelStepLaw, num_further: int
    ) -> None:
        super().__init__(inputs, parts)
        self.first = first
        self.further = further
        self.num_further = num_further

    def decode(self, seqs: int) -> DecodeCoefficients:
        """Coefficients of a lane that decodes `seqs` >= 1 sequences: verification and all drafts."""
        whole, first = super().decode(seqs), self.first.decode(seqs)
        further, n = self.further.decode(seqs), self.num_further
        return DecodeCoefficients(
            whole.base_s + first.base_s + n * further.base_s,
            whole.context_s + first.context_s + n * further.context_s,
            whole.capped_s + first.capped_s + n * further.capped_s,
            whole.above_s + first.above_s + n * further.above_s,
        )

    def mixed_s(
        self,
        seqs: int,
        context_tokens: int,
        capped_tokens: int,
        any_above: bool,
        prefills: Sequence[tuple[int, int]],
    ) -> float:
        """Lane seconds of a step that verifies and drafts for `seqs` >= 0 sequences, and prefills chunks."""
        held = seqs, context_tokens, capped_tokens, any_above
        seconds = super().mixed_s(*held, prefills) + self.first.mixed_s(*held, prefills)
        return seconds + self.num_further * self.further.mixed_s(*held, ())

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        """Shared seconds of verification and first draft."""
        verified_s = super().shared_s(total_tokens, busiest_lane_tokens, prefill)
        return verified_s + self.first.shared_s(total_tokens, busiest_lane_tokens, prefill)

    def drafts_s(self, total_seqs: int, busiest_lane_seqs: int) -> float:
        """Shared seconds of the drafts after the first; they hold no prompt, whatever the step verified."""
        if not total_seqs or not self.num_further:
            return 0.0
        return self.num_further * self.further.shared_s(total_seqs, busiest_lane_seqs, prefill=False)

    def explain_drafts(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Sequence[tuple[int, int]]
    ) -> list[Operation]:
        """Drafts of a step with this work on every rank, by kind of operation; seconds as in the methods above."""
        ranks = self.inputs.layout.data_parallel_size
        held = seqs, context_tokens, capped_tokens, any_above
        groups: dict[str, list[Operation]] = {}
        for law, runs, chunks in ((self.first, 1, prefills), (self.further, self.num_further if seqs else 0, ())):
            if runs:
                for kind, line in _draft_lines(law, held, chunks, ranks):
                    groups.setdefault(kind, []).append(_repeated(line, runs))
        return [_together(f"drafts: {kind}", lines) for kind, lines in groups.items()]


def speculative_law(
    inputs: LawInputs, num_speculative_tokens: int, host_overhead_s: float, host_status: str
) -> SpeculativeStepLaw:
    """The law of one replica that drafts `num_speculative_tokens` >= 1 tokens per step.

    Raises
    ------
    ScenarioError : the model cannot draft.
    """
    verified = replace(inputs, queries=num_speculative_tokens + 1)
    draft_host_s = number("engines", inputs.engine, "draft_host_overhead_ms") * MILLISECOND
    draft_status = fact("engines", inputs.engine, "draft_host_overhead_ms").status
    first, further = draft_inputs(inputs, verified.queries), draft_inputs(inputs, 1)
    indexer = not shares_choice(inputs.spec)
    return SpeculativeStepLaw(
        verified,
        law_parts(verified, host_overhead_s, host_status),
        KernelStepLaw(first, draft_parts(first, draft_host_s, draft_status, indexer=True)),
        KernelStepLaw(further, draft_parts(further, draft_host_s, draft_status, indexer=indexer)),
        num_speculative_tokens - 1,
    )


def _draft_lines(
    law: KernelStepLaw, held: tuple[int, int, int, bool], prefills: Sequence[tuple[int, int]], ranks: int
) -> Iterator[tuple[str, Operation]]:
    seqs, context, capped, above = held
    attention = law.parts.attention
    lines = [line.explain(context, capped, above) for line in attention.decode(seqs)] if seqs else []
    if prefills:
        mixed = attention.explain_mixed(seqs, context, capped, above, prefills)
        lines = mixed if sum(line.seconds for line in mixed) >= sum(line.seconds for line in lines) else lines
    tokens = seqs * law.inputs.queries + sum(new for new, _ in prefills)
    for line in lines:
        if line.count:
            yield "attention", line
    for operation in law.parts.per_token:
        yield "layer and projections", operation.explain(tokens)
    for operation in law.parts.per_logit:
        yield "head and sampling", operation.explain(seqs * law.inputs.logits + len(prefills))
    prefill = bool(prefills)
    for operation in law.parts.experts[prefill]:
        yield "routed experts", operation.explain(tokens * ranks)
    for operation in law.parts.network[prefill]:
        yield "dispatch and combine", operation.explain(tokens)
    yield "host overhead", Operation("", 1, 0.0, 0.0, 0.0, law.host_s, "host", "engine", law.parts.host_status)


def _repeated(line: Operation, runs: int) -> Operation:
    return replace(
        line,
        count=runs * line.count,
        flops=runs * line.flops,
        bytes=runs * line.bytes,
        network_bytes=runs * line.network_bytes,
        seconds=runs * line.seconds,
    )


def _together(name: str, lines: Sequence[Operation]) -> Operation:
    """One line for several; bound, kernel and status are those of the longest."""
    longest = max(lines, key=lambda line: line.seconds)
    return replace(
        longest,
        name=name,
        count=sum(line.count for line in lines),
        flops=sum(line.flops for line in lines),
        bytes=sum(line.bytes for line in lines),
        network_bytes=sum(line.network_bytes for line in lines),
        seconds=sum(line.seconds for line in lines),
    )
