"""How long one round of a pipeline lasts, and what of it its stages stand idle.

A round sends every microbatch (slot) through all stages once, in the order of slots; a stage takes 1/stages of what its
microbatch needs. A microbatch enters a stage when that is free, and when what it depends on has left the pipeline: its
own tokens of the round before, or the arrival of a prompt that is new. Since all stages take equally long over one
microbatch, the time at which it leaves follows from two conditions alone (a proportionate flow shop, Pinedo,
"Scheduling", section 6.1, with release times):

    leaves = max(enters + stages * stage time, the one before it leaves + stage time)

The engine has one boundary per round: when its last microbatch leaves. All tokens of the round count from there. So a
lone microbatch of `stages` costs the sum over its stages while the others stand idle, a lone prompt of n chunks costs
(n + stages - 1) stage times, and a full pipeline costs what its largest microbatch needs for all stages. Rounds that
only decode are taken as evenly staggered: they last as long as the largest microbatch needs for all stages.
"""

from __future__ import annotations

from sim.engine.acceptance import SharedSeconds
from sim.engine.lane import Lane


class Pipeline:
    """The stages of one replica, seen from the last boundary (time 0).

    Attributes
    ----------
    exits_s : when the sequences of each slot last left the pipeline, not above zero.
    free_s : when the first stage is free.
    """

    __slots__ = ("_leaving_s", "_ranks", "_shared_s", "_slots", "_staggered", "exits_s", "free_s")

    def __init__(self, stages: int) -> None:
        self._slots = [Slot() for _ in range(stages)]
        self.reset()

    def serve(self, ranks: int, shared_s: SharedSeconds) -> None:
        """Say how many ranks share it, and what they spend together on the tokens of a microbatch."""
        self._ranks = ranks
        self._shared_s = shared_s

    def reset(self) -> None:
        """The pipeline is empty."""
        self.exits_s = [0.0] * len(self._slots)
        self._leaving_s = self.exits_s
        self.free_s = 0.0
        self._staggered = False

    def add(self, lane: Lane, tokens: int, seconds: float, slope_s: float) -> None:
        """One lane with something to do takes `seconds`, and `slope_s` more in each later round."""
        slot = self._slots[lane.slot]
        slot.lanes.append(lane)
        slot.tokens += tokens
        slot.sum_s += seconds
        slot.slope_s += slope_s
        if tokens > slot.most_tokens:  # noqa: PLR1730 - a call costs more than the rest of the line
            slot.most_tokens = tokens
        if seconds > slot.slowest_s:  # noqa: PLR1730
            slot.slowest_s = seconds

    @property
    def fullest_tokens(self) -> int:
        """Tokens of the largest microbatch over all ranks: those share the experts in one pass of the pipeline."""
        return max(slot.tokens for slot in self._slots)

    def decode_round(self, first_s: float, slope_s: float) -> tuple[float, float]:
        """Seconds that a stage stands idle in a round without prompts, and their growth in each later round.

        The round lasts `first_s`, and `slope_s` more in each later round.
        """
        self._staggered = True
        busy_s = growth_s = 0.0
        for slot in self._slots:
            if slot.tokens:
                busy_s += slot.sum_s / self._ranks + self._shared_s(slot.tokens, slot.most_tokens, prefill=False)
                growth_s += slot.slope_s / self._ranks
                slot.clear()
        stages = len(self._slots)
        return first_s - busy_s / stages, slope_s - growth_s / stages

    def mixed_round(self, step: int, now_s: float, pace: float = 1.0) -> tuple[float, float]:
        """(seconds, seconds that a stage stands idle) of a round with prompt chunks, at the pace of design.

        Parameters
        ----------
        pace : how many times longer all of it will really take; arrivals are seen on that scale.
        """
        stages, exits = len(self._slots), self.exits_s
        if self._staggered:
            self._stagger(step)
        last_s = busy_s = 0.0
        free_s = self.free_s
        for number, slot in enumerate(self._slots):
            if not slot.tokens:
                continue
            chunked, entry_s = slot.entry_s(now_s, exits[number], pace)
            shared_s = self._shared_s(slot.tokens, slot.most_tokens, chunked)
            seconds = slot.slowest_s + shared_s
            busy_s += slot.sum_s / self._ranks + shared_s
            entry_s = max(entry_s, free_s)
            free_s = entry_s + seconds / stages
            last_s = exits[number] = max(entry_s + seconds, last_s + seconds / stages)
            slot.clear()
        self.exits_s = [exit_s - last_s for exit_s in exits]
        self._leaving_s = list(self.exits_s)
        self.free_s = free_s - last_s
        return last_s, last_s - busy_s / stages

    def joined(self, slot: int, chunk_slot: int) -> None:
        """A sequence decodes in `slot` after the last chunk of its prompt, which left with `chunk_slot`."""
        self.exits_s[slot] = max(self.exits_s[slot], self._leaving_s[chunk_slot])

    def _stagger(self, step: int) -> None:
        """Where a round finds the pipeline after rounds that only decoded: microbatches left one stage time apart."""
        self._staggered = False
        stages = len(self._slots)
        ahead_s = latest_s = 0.0
        for number in reversed(range(stages)):
            self.exits_s[number] = -ahead_s
            stage_s = self._slots[number].decoding_s(self._shared_s, step) / stages
            ahead_s += stage_s
            latest_s = latest_s or stage_s
        self.free_s = -(stages - 1) * latest_s


class Slot:
    """One microbatch of the round that is planned: its lanes of all ranks.

    Attributes
    ----------
    lanes : those with something to do.
    tokens, most_tokens : of all lanes, and of the one with most.
    sum_s, slope_s, slowest_s : lane seconds of all, their growth per round, and those of the slowest.
    """

    __slots__ = ("lanes", "most_tokens", "slope_s", "slowest_s", "sum_s", "tokens")

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.clear()

    def clear(self) -> None:
        """Nothing is in it."""
        self.lanes.clear()
        self.tokens = self.most_tokens = 0
        self.sum_s = self.slope_s = self.slowest_s = 0.0

    def entry_s(self, now_s: float, exit_s: float, pace: float) -> tuple[bool, float]:
        """(whether it has prompt chunks, when all that it depends on is there); `exit_s` is its exit of last round.

        Prompts under way need only the order of the pipeline, a new one its arrival.
        """
        chunked, entry_s = False, -float("inf")
        for lane in self.lanes:
            if lane.seqs:
                entry_s = max(entry_s, exit_s)
            for request, _ in lane.chunks:
                chunked = True
                if request.scheduled_s == now_s:
                    entry_s = max(entry_s, (request.arrival_s - now_s) / pace)
        return chunked, entry_s

    def decoding_s(self, shared_s: SharedSeconds, step: int) -> float:
        """What it takes over all stages to decode its sequences alone."""
        seqs = most = 0
        slowest_s = 0.0
        for lane in self.lanes:
            if lane.seqs:
                seqs += lane.seqs
                most = max(most, lane.seqs)
                slowest_s = max(slowest_s, lane.first_s + (step - lane.step) * lane.slope_s)
        return slowest_s + shared_s(seqs, most, prefill=False) if seqs else 0.0
