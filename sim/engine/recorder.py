"""What one run writes down: counters, latency histograms, gauges and a bounded timeline.

Latencies are those of `vllm bench serve`: TTFT = first token - send; E2EL = last token - send; TPOT = (E2EL - TTFT) /
(output tokens - 1), for requests with more than one token; ITL = every gap between successive tokens, pooled, of all
requests whatever became of them. Requests are measured if they arrive after the warm-up; gaps if they end after it.
"""

from __future__ import annotations

from sim.engine.course import Course
from sim.engine.plan import ServiceLevel
from sim.engine.request import Request
from sim.engine.tenant_tally import TenantTally
from sim.engine.totals import Totals
from sim.measure.gauge import TimeWeighted
from sim.measure.histogram import BufferedHistogram

HISTOGRAMS = ("ttft_s", "tpot_s", "itl_s", "e2el_s", "queue_s")
ROW = ("arrival_s", "input_tokens", "output_tokens", "queue_s", "ttft_s", "e2el_s", "attempts", "preemptions")
FLUSH = 16_384  # values and ramps that may wait; never flushed by the clock, so that sums do not depend on sampling


class Recorder:
    """All records of one run.

    Attributes
    ----------
    totals : counters since the start.
    opened : counters as they stood at the end of the warm-up.
    in_system : requests sent and not yet finished, in time.
    rows : one tuple per completed request (`ROW`), only where rows are asked for.
    kv_peak_tokens : most tokens cached on one replica at a step boundary, since the warm-up.
    tenants : the same by tenant; None where the load has only one.
    timeline : (time, running, waiting, cached-token share, replicas up) samples, bounded in number.
    course : the run in bins of time; None where none are asked for.
    """

    def __init__(
        self, slo: ServiceLevel, warmup_s: float, record_requests: bool, response_latency_s: float = 0.0
    ) -> None:
        self.slo = slo
        self._response_s = response_latency_s
        self.warmup_s = warmup_s
        self.totals = Totals()
        self.opened = self.totals.copy()
        self.histograms = {name: BufferedHistogram() for name in HISTOGRAMS}
        self.tenants: TenantTally | None = None
        self.course: Course | None = None
        self.in_system = TimeWeighted()
        self.sojourn_s = 0.0
        self.rows: list[tuple[float, ...]] | None = [] if record_requests else None
        self.timeline: list[tuple[float, ...]] = []
        self.kv_peak_tokens = 0
        self.measuring = warmup_s <= 0.0
        self._burst_tokens = 0
        self._ttft = self.histograms["ttft_s"].pending
        self._tpot = self.histograms["tpot_s"].pending
        self._e2el = self.histograms["e2el_s"].pending
        self._queue = self.histograms["queue_s"].pending
        self._itl = self.histograms["itl_s"]
        self._ramps = self._itl.pending_ramps

    def open(self) -> None:
        """End of the warm-up: measure from here."""
        self.opened = self.totals.copy()
        if self.tenants is not None:
            self.tenants.open()
        self.kv_peak_tokens = 0
        self.measuring = True

    def arrived(self, now_s: float) -> None:
        """A client sent its first attempt."""
        self.totals.arrived += 1
        self.in_system.add(now_s, 1)
        if self.course is not None:
            self.course.arrives(now_s)

    def left(self, request: Request, now_s: float) -> None:
        """A request finished, one way or another."""
        self.in_system.add(now_s, -1)
        self.sojourn_s += now_s - request.arrival_s
        if self.tenants is not None:
            self.tenants.left(request)

    def gaps(self, first_s: float, slope_s: float, steps: int, decoding: int) -> None:
        """Gaps between tokens of `decoding` sequences over `steps` steps, step i lasting `first_s + i * slope_s`."""
        if self.measuring:
            self._ramps.append((first_s, slope_s, steps, decoding))
            if len(self._ramps) >= FLUSH:
                self._itl.flush()

    def bursts(self, tokens: int) -> None:
        """Tokens that came with another of the same step: gaps of zero. Negative to take some back."""
        if self.measuring:
            self._burst_tokens += tokens

    def gap(self, seconds: float) -> None:
        """One gap between tokens that is not a step: a preempted request resumed."""
        if self.measuring:
            self._itl.pending.append(seconds)

    def preempted(self, wasted_prefill_tokens: int, recompute_tokens: int) -> None:
        """A running request went back to the queue."""
        totals = self.totals
        totals.preemptions += 1
        totals.wasted_prefill_tokens += wasted_prefill_tokens
        totals.recompute_tokens += recompute_tokens

    def lost(self, generated_tokens: int, prefilled_tokens: int) -> None:
        """An attempt ended without a result; what it had computed is gone."""
        self.totals.lost_tokens += generated_tokens
        self.totals.wasted_prefill_tokens += prefilled_tokens

    def completed(self, request: Request, now_s: float) -> None:
        """The last token of a request is out."""
        totals = self.totals
        tokens = request.output_tokens
        totals.completed += 1
        totals.delivered_tokens += tokens
        totals.input_tokens_completed += request.input_tokens
        totals.kept_prefill_tokens += request.target_tokens - request.hit_tokens
        self.in_system.add(now_s, -1)
        e2el = now_s - request.arrival_s
        self.sojourn_s += e2el
        e2el += self._response_s
        ttft = request.first_token_s - request.arrival_s + self._response_s
        tpot = (e2el - ttft) / (tokens - 1) if tokens > 1 else 0.0
        tenants = self.tenants
        slo = self.slo if tenants is None else tenants.slos[request.tenant]
        good = ttft <= slo.ttft_s and tpot <= slo.tpot_s and e2el <= slo.e2el_s and now_s <= request.deadline_s
        if tenants is not None:
            tenants.completed(request, now_s, ttft, tpot, good=good)
        if good:
            totals.good += 1
            totals.good_tokens += tokens
            totals.good_input_tokens += request.input_tokens
        if self.course is not None:
            self.course.completes(request.arrival_s, ttft, tokens, good=good)
        if request.arrival_s < self.warmup_s:
            return
        queue = request.scheduled_s - request.arrival_s
        self._ttft.append(ttft)
        self._e2el.append(e2el)
        self._queue.append(queue)
        if tokens > 1:
            self._tpot.append(tpot)
        if len(self._ttft) >= FLUSH:
            self.flush()
        if self.rows is not None:
            self.rows.append(
                (
                    request.arrival_s,
                    request.input_tokens,
                    tokens,
                    queue,
                    ttft,
                    e2el,
                    request.attempt + 1,
                    request.preemptions,
                )
            )

    def close(self) -> None:
        """End of the run: everything pending goes into the histograms, the gaps of zero among it."""
        self.flush()
        if self._burst_tokens > 0:  # below zero only where a short window corrects what came before it
            self._itl.add(0.0, self._burst_tokens)

    def flush(self) -> None:
        """Move pending values into the histograms, so that memory does not grow with the run."""
        for histogram in self.histograms.values():
            histogram.flush()
