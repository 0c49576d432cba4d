"""The step-time law that is composed of kernel families.

Lane seconds are what one attention rank does alone: attention, dense layers, router, shared experts, norms, tensor
all-reduce, head, sampling, and the hand-over between pipeline stages. Shared seconds are the routed experts on the
hottest GPU, dispatch and combine, and host overhead (once per stage: a stage launches every microbatch of a round).

In a step without prompt chunks the attention kernels for decode run; with chunks the kernels for prefill, once for all
tokens of the lane, plus the cache reads of the decoding sequences. A mixed step never takes less attention time than
the decode step it contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.steptime.attention import AttentionLaw
from sim.steptime.inputs import LawInputs
from sim.steptime.law import DecodeCoefficients
from sim.steptime.operation import Operation, TokenOperation

_MEMO_ENTRIES = 1 << 16
"""Remembered token counts per table; beyond it the table starts afresh, which changes no value."""


@dataclass(frozen=True, slots=True)
class LawParts:
    """Operations of a step.

    Attributes
    ----------
    attention : attention of all layers.
    per_token : lane operations by the lane's tokens.
    per_logit : lane operations by the tokens that need logits: decoding sequences and one per prompt chunk.
    experts, network : shared operations by tokens of all lanes, and by tokens of the busiest lane; each for steps
        without and with prompt chunks.
    host_overhead_s : host time of a step and stage.
    amortised : shared operations of one step in many, by tokens of all lanes, at their share of a step.
    host_status : status of that figure in the catalog, or `scenario` where the scenario sets it.
    """

    attention: AttentionLaw
    per_token: tuple[TokenOperation, ...]
    per_logit: tuple[TokenOperation, ...]
    experts: tuple[tuple[TokenOperation, ...], tuple[TokenOperation, ...]]
    network: tuple[tuple[TokenOperation, ...], tuple[TokenOperation, ...]]
    host_overhead_s: float
    host_status: str
    amortised: tuple[TokenOperation, ...] = ()


class KernelStepLaw:
    """`sim.steptime.law.StepLaw` from kernel families. Every value is a pure function of the arguments.

    Attributes
    ----------
    attention_cap_tokens : context at which capped attention stops growing; 0 without one.
    inputs, parts : what it was built from; `sim.steptime.explain` prints them.
    """

    def __init__(self, inputs: LawInputs, parts: LawParts) -> None:
        self.inputs = inputs
        self.parts = parts
        self.attention_cap_tokens = parts.attention.cap_tokens
        self.host_s = parts.host_overhead_s * inputs.layout.pipeline_parallel_size
        self._pcp = inputs.layout.prefill_context_parallel_size
        self._per_token: dict[int, float] = {}
        self._per_logit: dict[int, float] = {}
        self._decode: dict[int, DecodeCoefficients] = {}
        self._amortised: dict[int, float] = {}
        self._experts: tuple[dict[int, float], dict[int, float]] = ({}, {})
        self._network: tuple[dict[int, float], dict[int, float]] = ({}, {})

    def decode(self, seqs: int) -> DecodeCoefficients:
        """Coefficients of a lane that decodes `seqs` >= 1 sequences."""
        attention = self._attention(seqs)
        fixed_s = self._fixed_s(seqs * self.inputs.queries, seqs * self.inputs.logits)
        return DecodeCoefficients(
            attention.base_s + fixed_s, attention.context_s, attention.capped_s, attention.above_s
        )

    def mixed_s(
        self,
        seqs: int,
        context_tokens: int,
        capped_tokens: int,
        any_above: bool,
        prefills: Sequence[tuple[int, int]],
    ) -> float:
        """Lane seconds of a step that decodes `seqs` >= 0 sequences and prefills chunks of (new, cached) tokens."""
        if self._pcp > 1:
            prefills = self.on_rank(prefills)
        tokens = seqs * self.inputs.queries
        for new, _ in prefills:
            tokens += new
        if not tokens:
            return 0.0
        attention_s = 0.0
        if seqs:
            c = self._attention(seqs)
            attention_s = c.base_s + c.context_s * context_tokens + c.capped_s * capped_tokens
            if any_above:
                attention_s += c.above_s
        if prefills:
            mixed_s = 0.0
            for part_s in self.parts.attention.mixed(seqs, context_tokens, capped_tokens, any_above, prefills):
                mixed_s += part_s
            if mixed_s > attention_s:  # noqa: PLR1730 - a call costs more than the rest of the line
                attention_s = mixed_s
        return attention_s + self._fixed_s(tokens, seqs * self.inputs.logits + len(prefills))

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        """Seconds of routed experts, dispatch and combine, and host overhead."""
        experts_s = self._experts[prefill].get(total_tokens)
        if experts_s is None:
            experts_s = _remember(self._experts[prefill], total_tokens, self.parts.experts[prefill])
        network_s = self._network[prefill].get(busiest_lane_tokens)
        if network_s is None:
            network_s = _remember(self._network[prefill], busiest_lane_tokens, self.parts.network[prefill])
        seconds = self.host_s + experts_s + network_s
        return seconds + self._amortised_s(total_tokens) if self.parts.amortised else seconds

    def on_rank(self, prefills: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """What one group of tensor-parallel GPUs computes of prompt chunks that prefill context parallelism divides.

        A chunk is cut into twice as many pieces as groups, and each takes one from the front and one from the back, so
        that query-key pairs balance (vLLM pull request 46570). The group in the middle is charged: its two pieces
        touch, and where attention is capped, none has more pairs.
        """
        groups = self._pcp
        if groups == 1:
            return prefills
        shares = ((-(-new // groups), new, cached) for new, cached in prefills)
        return tuple((share, cached + (new - share) // 2) for share, new, cached in shares)

    def lane_operations(self, tokens: int, logits: int) -> list[Operation]:
        """Lane operations without attention, for the breakdown."""
        lines = [operation.explain(tokens) for operation in self.parts.per_token]
        return lines + [operation.explain(logits) for operation in self.parts.per_logit]

    def shared_operations(self, total_tokens: int, busiest_lane_tokens: int, *, prefill: bool) -> list[Operation]:
        """Shared operations, for the breakdown."""
        lines = [operation.explain(total_tokens) for operation in self.parts.experts[prefill]]
        lines += [operation.explain(busiest_lane_tokens) for operation in self.parts.network[prefill]]
        lines += [operation.explain(total_tokens) for operation in self.parts.amortised]
        return [*lines, self.host_operation()]

    def host_operation(self) -> Operation:
        """Host overhead of a step, for the breakdown."""
        stages = self.inputs.layout.pipeline_parallel_size
        return Operation("host overhead", stages, 0.0, 0.0, 0.0, self.host_s, "host", "engine", self.parts.host_status)

    def _attention(self, seqs: int) -> DecodeCoefficients:
        """Attention coefficients of a pure decode step."""
        found = self._decode.get(seqs)
        if found is None:
            lines = self.parts.attention.decode(seqs)
            found = DecodeCoefficients(
                sum(line.base_s for line in lines),
                sum(line.context_s for line in lines),
                sum(line.capped_s for line in lines),
                sum(line.above_s for line in lines),
            )
            if len(self._decode) >= _MEMO_ENTRIES:
                self._decode.clear()
            self._decode[seqs] = found
        return found

    def _fixed_s(self, tokens: int, logits: int) -> float:
        """Lane seconds beside attention."""
        return self._token_s(tokens) + self._logit_s(logits)

    def _token_s(self, tokens: int) -> float:
        """Lane seconds of what runs once per token, beside attention."""
        token_s = self._per_token.get(tokens)
        return _remember(self._per_token, tokens, self.parts.per_token) if token_s is None else token_s

    def _logit_s(self, logits: int) -> float:
        """Lane seconds of head and sampling."""
        logit_s = self._per_logit.get(logits)
        return _remember(self._per_logit, logits, self.parts.per_logit) if logit_s is None else logit_s

    def _amortised_s(self, total_tokens: int) -> float:
        """Shared seconds of what happens once in many steps."""
        seconds = self._amortised.get(total_tokens)
        return _remember(self._amortised, total_tokens, self.parts.amortised) if seconds is None else seconds


def _remember(memo: dict[int, float], tokens: int, operations: tuple[TokenOperation, ...]) -> float:
    """Seconds of the operations, kept for the next step with as many tokens."""
    if len(memo) >= _MEMO_ENTRIES:
        memo.clear()
    seconds = 0.0
    for operation in operations:
        seconds += operation.count * operation.cost(tokens).seconds
    memo[tokens] = seconds
    return seconds
