"""What a replica does next: the batch of the next step, how long it lasts, and how many steps are alike."""

from __future__ import annotations

from sim.engine.acceptance import SharedSeconds
from sim.engine.books import Books
from sim.engine.clock import Alarm
from sim.engine.lane import Lane
from sim.engine.overtaking import until_overtaken
from sim.engine.piecewise_lane import PiecewiseLane, steps_to_knot
from sim.engine.rank import Rank
from sim.engine.stall import Stall
from sim.steptime.law import StepLaw
from sim.steptime.span import span_seconds

FAR = 1 << 60


class Batches(Books):
    """The part of a replica that forms batches; attributes as in `sim.engine.replica.Replica`, which sets them."""

    ranks: list[Rank]
    _law: StepLaw
    _lanes: list[tuple[Rank, Lane]]
    _batches: list[Lane]
    _kinked: list[PiecewiseLane]
    _shared_s: SharedSeconds
    _coalesce: bool
    _looks_ahead: bool
    _marks: list[int]
    _chunked: list[tuple[Rank, Lane]]
    _chunk_tokens: int
    _alarm: Alarm
    _stepping: bool
    pace: float

    def _plan(self, now: float) -> None:
        """Form the batch of the next step, and say how many steps it lasts."""
        step = self.step
        safe = FAR
        for rank in self.ranks:
            if rank.safe_until <= step:
                rank.grow(step, now)
            if rank.waiting or rank.prefills:
                rank.schedule(step, now)
            if rank.safe_until < safe:  # noqa: PLR1730 - a call costs more than the rest of the line
                safe = rank.safe_until
        for kinked in self._kinked:
            kinked.reach(step)
        slowest_s = slope_s = 0.0
        total_tokens = most_tokens = chunk_tokens = 0
        for pair in self._lanes:
            lane = pair[1]
            if lane.changed:
                lane.refresh()
            tokens = lane.tokens
            if lane.chunks:
                self._chunked.append(pair)
                seconds, chunked = self._mixed(lane, step)
                slope = 0.0
                chunk_tokens += chunked
                tokens = tokens + chunked if self._stall is None else chunked
            elif tokens:
                slope = lane.slope_s
                seconds = lane.first_s + (step - lane.step) * slope
            else:
                continue
            if self._pipeline is not None:
                self._pipeline.add(lane, tokens, seconds, slope)
            total_tokens += tokens
            if tokens > most_tokens:  # noqa: PLR1730 - a call costs more than the rest of the line
                most_tokens = tokens
            if seconds > slowest_s or (seconds == slowest_s and slope > slope_s):
                slowest_s, slope_s = seconds, slope
        prefilling = self._prefilling = chunk_tokens > 0
        self._chunk_tokens = chunk_tokens
        if total_tokens == 0:
            self._rest(now)
            return
        if prefilling and self._stall is not None:
            self._stand_still(self._stall, now)
        self._start_s, self._slope_s = now, 0.0 if prefilling else slope_s
        self._first_s = duration_s = self._seconds(slowest_s, total_tokens, most_tokens)
        if self.pace != 1.0:
            duration_s = self._slow_down()
        steps = 1
        if self._coalesce and not prefilling:
            steps = self._steps_alike(step, min(self._marks[0], safe) - step, slowest_s, slope_s)
            duration_s = duration_s if steps == 1 else span_seconds(steps, duration_s, self._slope_s)
        self._planned = steps
        self._alarm.set(now + duration_s)

    def _stand_still(self, stall: Stall, now: float) -> None:
        """The step now planned decodes nothing, and the one after it has the same index."""
        stall.begins(now)
        for rank in self.ranks:
            rank.scheduled()

    def _rest(self, now: float) -> None:
        """Nobody computes; who was put back in this batch must not wait for a transfer because of that."""
        put_back = [rank.rest(self.step) for rank in self.ranks]
        if any(put_back):
            self._plan(now)  # the scheduler runs again at once, as vLLM's loop does after an empty batch
        else:
            self._stepping = False
            if self._late_s:
                self._on_time()

    def _slow_down(self) -> float:
        """Stretch the step being planned, and those after it; returns its seconds."""
        pace = self.pace
        self._first_s *= pace
        self._slope_s *= pace
        self._bubble_s *= pace
        self._bubble_slope_s *= pace
        return self._first_s

    def _seconds(self, slowest_s: float, total_tokens: int, most_tokens: int) -> float:
        """Duration of the step being planned, whose slowest lane takes `slowest_s`."""
        pipeline = self._pipeline
        if pipeline is None:
            return slowest_s + self._shared_s(total_tokens, most_tokens, self._prefilling)
        if self._prefilling:
            seconds, self._bubble_s = pipeline.mixed_round(self.step, self._start_s, self.pace)
            self._bubble_slope_s = 0.0
            return seconds
        seconds = slowest_s + self._shared_s(pipeline.fullest_tokens, most_tokens, prefill=False)
        self._bubble_s, self._bubble_slope_s = pipeline.decode_round(seconds, self._slope_s)
        return seconds

    def _mixed(self, lane: Lane, step: int) -> tuple[float, int]:
        """(lane seconds, prompt tokens) of a step with prompt chunks."""
        seqs, ahead = lane.seqs if self._stall is None else 0, step - lane.step
        tokens = 0
        chunks = []
        for request, chunk in lane.chunks:
            tokens += chunk
            before = request.computed_tokens
            if lane.earlier:
                before += lane.earlier.get(request, 0)
            chunks.append((chunk, before))
        if not seqs:  # nobody decodes here, or those who do wait for the prompts
            return self._law.mixed_s(0, 0, 0, any_above=False, prefills=chunks), tokens
        context_tokens, capped_tokens = lane.context_units, lane.capped_units
        if ahead:
            ahead *= lane.units_per_step
            context_tokens += ahead * seqs
            capped_tokens += ahead * lane.below
        if self._drafts:  # whole tokens
            context_tokens //= lane.units_per_token
            capped_tokens //= lane.units_per_token
        return self._law.mixed_s(seqs, context_tokens, capped_tokens, lane.above > 0, chunks), tokens

    def _steps_alike(self, step: int, steps: int, slowest_s: float, slope_s: float) -> int:
        """Of `steps` steps without a mark, those before another lane is the slowest or a queue may move."""
        if self._looks_ahead:
            for rank in self.ranks:
                if rank.waiting:
                    steps = rank.steps_until_admission(step, steps)
        if steps > 1 and len(self._lanes) > 1:
            steps = until_overtaken(self._batches, step, steps, slowest_s, slope_s)
        return steps_to_knot(self._kinked, step, steps) if self._kinked else steps
