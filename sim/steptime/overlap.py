"""Two-batch overlap: a step is split in halves, and dispatch and combine of one hide behind the computing of the other.

SGLang's `--enable-two-batch-overlap`, vLLM's `--enable-dbo` (dual batch overlap). Each half runs every kernel of every
layer with half of the tokens, so what a kernel costs at least is paid twice. Of the network time, what fits behind
computing disappears; while a transfer holds SMs, computing is slower by that share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.catalog.tables import number
from sim.steptime.inputs import LawInputs, Phase
from sim.steptime.kernel import KernelStepLaw, LawParts
from sim.steptime.law import DecodeCoefficients

ROW = "two_batch_overlap"
Chunks = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Half:
    """One half of a lane's batch.

    Attributes
    ----------
    seqs : decoding sequences.
    share : share of the decoding sequences, and of their context.
    prefills : chunks of (new, cached) tokens.
    """

    seqs: int
    share: float
    prefills: Chunks

    @property
    def tokens(self) -> int:
        """Tokens computed."""
        return self.seqs + sum(new for new, _ in self.prefills)


def halves(seqs: int, prefills: Sequence[tuple[int, int]]) -> tuple[Half, Half]:
    """Both halves of a batch; a chunk that straddles the middle is cut, the rest sees the first part as cached."""
    first, second = -(-seqs // 2), seqs // 2
    room = -(-sum(new for new, _ in prefills) // 2)
    early: list[tuple[int, int]] = []
    late: list[tuple[int, int]] = []
    for new, cached in prefills:
        taken = min(new, room)
        room -= taken
        if taken:
            early.append((taken, cached))
        if new > taken:
            late.append((new - taken, cached + taken))
    share = first / seqs if seqs else 0.0
    return Half(first, share, tuple(early)), Half(second, 1.0 - share if seqs else 0.0, tuple(late))


class TwoBatchLaw(KernelStepLaw):
    """`KernelStepLaw` of an engine with two-batch overlap.

    A lane is split when it has more tokens than the engine's threshold; shared seconds when the busiest lane has.
    Computing that may cover the network is taken from the busiest lane without context, because shared seconds do not
    know contexts: with long contexts more is hidden than this says.
    """

    def __init__(self, inputs: LawInputs, parts: LawParts) -> None:
        super().__init__(inputs, parts)
        self._thresholds = tuple(
            int(number("engines", inputs.engine, f"two_batch_{phase}_threshold")) for phase in _PHASES
        )
        self._kept = tuple(_kept_frac(inputs, phase) for phase in _PHASES)
        self._moe_frac = inputs.spec.num_moe_layers / inputs.spec.num_layers
        self._split_shared: dict[tuple[int, int, bool], float] = {}

    def splits(self, tokens: int, *, prefill: bool) -> bool:
        """Whether a lane of so many tokens is computed in halves."""
        return tokens > self._thresholds[prefill]

    def decode(self, seqs: int) -> DecodeCoefficients:
        """Coefficients of a lane that decodes `seqs` >= 1 sequences, in halves if there are enough."""
        if not self.splits(seqs, prefill=False):
            return super().decode(seqs)
        parts = [(half, self._attention(half.seqs)) for half in halves(seqs, ())]
        fixed_s = sum(self._token_s(half.seqs) for half, _ in parts) + self._logit_s(seqs)
        return DecodeCoefficients(
            sum(c.base_s for _, c in parts) + fixed_s,
            sum(half.share * c.context_s for half, c in parts),
            sum(half.share * c.capped_s for half, c in parts),
            sum(c.above_s for _, c in parts),
        )

    def mixed_s(
        self,
        seqs: int,
        context_tokens: int,
        capped_tokens: int,
        any_above: bool,
        prefills: Sequence[tuple[int, int]],
    ) -> float:
        """Lane seconds, as in `KernelStepLaw.mixed_s`; contexts divide evenly over both halves."""
        tokens = seqs + sum(new for new, _ in prefills)
        if not self.splits(tokens, prefill=bool(prefills)):
            return super().mixed_s(seqs, context_tokens, capped_tokens, any_above, prefills)
        if not prefills:
            c = self.decode(seqs)
            lane_s = c.base_s + c.context_s * context_tokens + c.capped_s * capped_tokens
            return lane_s + c.above_s if any_above else lane_s
        lane_s = self._logit_s(seqs + len(prefills))
        for half in halves(seqs, prefills):
            if not half.tokens:
                continue
            context, capped = round(half.share * context_tokens), round(half.share * capped_tokens)
            # Logits of a half are those of the whole step, charged once above.
            lane_s += super().mixed_s(half.seqs, context, capped, any_above, half.prefills)
            lane_s -= self._logit_s(half.seqs + len(half.prefills))
        return lane_s

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        """Shared seconds: experts of both halves, and what of the network shows."""
        if not self.splits(busiest_lane_tokens, prefill=prefill):
            return super().shared_s(total_tokens, busiest_lane_tokens, prefill)
        key = total_tokens, busiest_lane_tokens, bool(prefill)
        seconds = self._split_shared.get(key)
        if seconds is None:
            experts_s, network_s = self._halved(total_tokens, busiest_lane_tokens, prefill=prefill)
            hidden_s = self.hidden_s(total_tokens, busiest_lane_tokens, prefill=prefill)
            seconds = self.host_s + experts_s + network_s - hidden_s
            seconds += sum(line.seconds(total_tokens) for line in self.parts.amortised)
            if len(self._split_shared) >= _MEMO_ENTRIES:
                self._split_shared.clear()
            self._split_shared[key] = seconds
        return seconds

    def hidden_s(self, total_tokens: int, busiest_lane_tokens: int, *, prefill: bool) -> float:
        """Network seconds that do not show in a split step."""
        experts_s, network_s = self._halved(total_tokens, busiest_lane_tokens, prefill=prefill)
        return self._kept[prefill] * min(network_s, experts_s + self._cover_s(busiest_lane_tokens, prefill=prefill))

    def _halved(self, total_tokens: int, busiest_lane_tokens: int, *, prefill: bool) -> tuple[float, float]:
        """(expert seconds, network seconds) of both halves, nothing hidden."""
        experts_s = sum(line.seconds(tokens) for tokens in _split(total_tokens) for line in self.parts.experts[prefill])
        network_s = sum(
            line.seconds(tokens) for tokens in _split(busiest_lane_tokens) for line in self.parts.network[prefill]
        )
        return experts_s, network_s

    def _cover_s(self, tokens: int, *, prefill: bool) -> float:
        """Lane seconds of both halves in MoE layers, without context."""
        seconds = 0.0
        for part in _split(tokens):
            if prefill:
                attention_s = sum(self.parts.attention.mixed(0, 0, 0, any_above=False, prefills=((part, 0),)))
            else:
                attention_s = self._attention(part).base_s
            seconds += attention_s + self._token_s(part)
        return seconds * self._moe_frac


_MEMO_ENTRIES = 1 << 16
_PHASES: tuple[Phase, Phase] = ("decode", "prefill")


def _split(tokens: int) -> tuple[int, int]:
    return -(-tokens // 2), tokens // 2


def _kept_frac(inputs: LawInputs, phase: Phase) -> float:
    """Share of the hidden time that is won: the rest is computing that went slower beside the transfer."""
    mode = "low_latency" if inputs.dispatch_phase(phase) == "decode" else "normal"
    return 1.0 - number("kernels", ROW, f"sms_{mode}") / number("kernels", ROW, "sms")
