"""The books of one replica: where its time went, and the tokens of every step that is over."""

from __future__ import annotations

from sim.engine.acceptance import emit
from sim.engine.held import Held
from sim.engine.landings import Landings
from sim.engine.pipeline import Pipeline
from sim.engine.plan import EngineLimits
from sim.engine.recorder import Recorder
from sim.engine.stall import Stall
from sim.engine.totals import Totals
from sim.steptime.span import ramp_seconds, span_seconds


class Books:
    """The part of a replica that books time and steps; `sim.engine.replica.Replica` plans them.

    Attributes
    ----------
    limits, held, step : as in `Replica`.
    """

    limits: EngineLimits
    held: Held
    step: int
    _record: Recorder
    _totals: Totals
    _drafts: int
    _pipeline: Pipeline | None
    _stall: Stall | None
    _landings: Landings
    _prefilling: bool
    _planned: int
    _start_s: float
    _mark_s: float
    _kv_part_s: float
    _first_s: float
    _slope_s: float
    _bubble_s: float
    _bubble_slope_s: float
    _late_s: float
    hung: bool
    _paused_until_s: float

    def _idle(self, now: float) -> None:
        """Book the time since the last mark, during which no step was under way; requests may wait for transfers."""
        totals, mark_s = self._totals, self._mark_s
        seconds, self._mark_s = now - mark_s, now
        totals.kv_token_s += self.held.cached_tokens * seconds
        if self.hung:
            totals.hung_s += seconds
            return
        if mark_s < self._paused_until_s:
            paused_s = min(now, self._paused_until_s) - mark_s
            totals.paused_s += paused_s
            seconds -= paused_s
        totals.idle_s += seconds

    def _spend(self, now: float) -> None:
        """Book the time since the last mark, during which the batch was the same."""
        totals = self._totals
        seconds = now - self._mark_s
        self._mark_s = now
        totals.busy_s += seconds
        totals.sequence_s += self.held.decoding * seconds
        if self._prefilling:
            totals.prefill_step_s += seconds

    def _account(self, steps: int) -> None:
        """Book `steps` finished steps of the span under way."""
        if self._prefilling and self._stall is not None:
            self._account_prompts_only()
            return
        first, slope, held, totals = self._first_s, self._slope_s, self.held, self._totals
        decoding = held.decoding
        totals.steps += steps
        if self._drafts:
            seconds, ramp_s = span_seconds(steps, first, slope), ramp_seconds(steps, first, slope)
            totals.kv_token_s += emit(held, steps, seconds, ramp_s, self.limits, self._record) - self._kv_part_s
        elif steps == 1:
            seconds = first
            totals.emitted_tokens += decoding
            totals.kv_token_s += held.cached_tokens * seconds - self._kv_part_s
            held.cached_tokens += decoding
        else:
            seconds = span_seconds(steps, first, slope)
            growth_s = decoding * ramp_seconds(steps, first, slope)
            totals.emitted_tokens += steps * decoding
            totals.kv_token_s += held.cached_tokens * seconds + growth_s - self._kv_part_s
            held.cached_tokens += steps * decoding
        self._kv_part_s = 0.0
        if self._pipeline is not None:
            totals.bubble_s += span_seconds(steps, self._bubble_s, self._bubble_slope_s)
            self._bubble_s += steps * self._bubble_slope_s
        if self._landings.resumed:
            self._landings.gaps(self._start_s, first, slope, steps, decoding, self._on_time())
        elif self._stall is not None:
            self._stall.gaps(self._start_s, first, slope, steps)
        elif self._late_s:
            self._late_gaps(first, slope, steps, decoding)
        elif decoding:
            self._record.gaps(first, slope, steps, decoding)
        self.step += steps
        self._start_s += seconds
        self._first_s = first + steps * slope
        self._planned -= steps

    def _late_gaps(self, first: float, slope: float, steps: int, decoding: int) -> None:
        """Gaps of the steps after a pause: the first one reaches back to the last boundary before it."""
        late_s = self._on_time()
        if decoding:
            self._record.gaps(late_s + first, 0.0, 1, decoding)
            if steps > 1:
                self._record.gaps(first + slope, slope, steps - 1, decoding)

    def _on_time(self) -> float:
        """How late the first step after a pause began; whatever follows is on time."""
        late_s, self._late_s = self._late_s, 0.0
        if self._stall is None:
            self.held.stalled_since_s = None
        return late_s

    def _account_prompts_only(self) -> None:
        """Book a step that decoded nothing; the counter of decode steps stands still."""
        seconds, totals = self._first_s, self._totals
        totals.steps += 1
        totals.kv_token_s += self.held.cached_tokens * seconds - self._kv_part_s
        self._kv_part_s = 0.0
        self._start_s += seconds
        self._planned = 0
