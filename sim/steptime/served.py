"""The step time of a served system: kernels, and what an engine adds to them.

Kernel sums leave out what the host does and what kernels lose in company. A handful of constants per engine stands for
it, each with a physical meaning; `sim calibrate` fits them on measured serving points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.steptime.kernel import KernelStepLaw
from sim.steptime.law import DecodeCoefficients
from sim.steptime.speculative import SpeculativeStepLaw


@dataclass(frozen=True, slots=True)
class EngineConstants:
    """What an engine adds to its kernels, beside the host time of every step.

    Attributes
    ----------
    decode_time_factor, prefill_time_factor : time of what one rank does alone (attention, projections, all-reduce,
        head) for decoding and for prompt chunks, over that of the kernels measured one by one.
    expert_decode_time_factor, expert_prefill_time_factor : the same for what all ranks do together: routed experts,
        dispatch and combine.
    prefill_overhead_s : host time of a step with prompt chunks, which runs without a captured graph.
    sequence_overhead_s : host time per sequence and step: scheduling, sampling, detokenisation.
    """

    decode_time_factor: float = 1.0
    prefill_time_factor: float = 1.0
    expert_decode_time_factor: float = 1.0
    expert_prefill_time_factor: float = 1.0
    prefill_overhead_s: float = 0.0
    sequence_overhead_s: float = 0.0


class ServedStepLaw:
    """`sim.steptime.law.StepLaw` of a kernel law under the constants of an engine.

    With constants of one and zero it is the kernel law itself.
    """

    def __init__(self, kernels: KernelStepLaw, constants: EngineConstants) -> None:
        self.kernels = kernels
        self.constants = constants
        self.attention_cap_tokens = kernels.attention_cap_tokens
        self._decode: dict[int, DecodeCoefficients] = {}
        self._kernel_decode: dict[int, DecodeCoefficients] = {}

    def decode(self, seqs: int) -> DecodeCoefficients:
        """Coefficients of a lane that decodes `seqs` >= 1 sequences."""
        found = self._decode.get(seqs)
        if found is None:
            c, constants = self.kernels.decode(seqs), self.constants
            factor = constants.decode_time_factor
            base_s = factor * c.base_s + seqs * constants.sequence_overhead_s
            found = DecodeCoefficients(base_s, factor * c.context_s, factor * c.capped_s, factor * c.above_s)
            self._decode[seqs] = found
        return found

    def mixed_s(
        self,
        seqs: int,
        context_tokens: int,
        capped_tokens: int,
        any_above: bool,
        prefills: Sequence[tuple[int, int]],
    ) -> float:
        """Lane seconds of a step with prompt chunks: the decode step in it, and what the chunks add."""
        constants = self.constants
        decode_s = scaled_s = 0.0
        if seqs:
            found = self._kernel_decode.get(seqs)
            c = self._kernel_decode[seqs] = self.kernels.decode(seqs) if found is None else found
            decode_s = c.base_s + c.context_s * context_tokens + c.capped_s * capped_tokens
            if any_above:
                decode_s += c.above_s
            scaled_s = constants.decode_time_factor * decode_s + seqs * constants.sequence_overhead_s
        if not prefills:
            return scaled_s
        whole_s = self.kernels.mixed_s(seqs, context_tokens, capped_tokens, any_above, prefills)
        added_s = constants.prefill_time_factor * max(0.0, whole_s - decode_s)
        return scaled_s + added_s + len(prefills) * constants.sequence_overhead_s

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        """Seconds that all lanes spend together."""
        constants, host_s = self.constants, self.kernels.host_s
        kernel_s = self.kernels.shared_s(total_tokens, busiest_lane_tokens, prefill) - host_s
        if prefill:
            return host_s + constants.prefill_overhead_s + constants.expert_prefill_time_factor * kernel_s
        return host_s + constants.expert_decode_time_factor * kernel_s


class ServedDraftingLaw(ServedStepLaw):
    """`sim.steptime.law.DraftingLaw` of a kernel law that drafts."""

    def __init__(self, kernels: SpeculativeStepLaw, constants: EngineConstants) -> None:
        super().__init__(kernels, constants)
        self._drafts_s = kernels.drafts_s

    def drafts_s(self, total_seqs: int, busiest_lane_seqs: int) -> float:
        """Seconds that all lanes spend together on the drafts after the first."""
        return self.constants.expert_decode_time_factor * self._drafts_s(total_seqs, busiest_lane_seqs)


def served_law(kernels: KernelStepLaw, constants: EngineConstants) -> ServedStepLaw:
    """The law of an engine that runs these kernels; it drafts where they do."""
    if isinstance(kernels, SpeculativeStepLaw):
        return ServedDraftingLaw(kernels, constants)
    return ServedStepLaw(kernels, constants)
