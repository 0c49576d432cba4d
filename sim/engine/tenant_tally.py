"""What became of the requests of each tenant; kept only where a load has tenants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sim.engine.counters import Counters
from sim.engine.pile_tally import Piles, PileTally
from sim.engine.plan import ServiceLevel
from sim.engine.request import Request, State
from sim.engine.totals import Totals
from sim.errors import IdentityError
from sim.measure.histogram import BufferedHistogram

FLUSH = 16_384  # values that may wait; by number, never by the clock, so that sums do not depend on sampling
LATENCIES = ("ttft_s", "tpot_s", "e2el_s")


@dataclass(slots=True)
class TenantTotals(Counters):
    """Counters of one tenant since the start of the run, with the meanings of `sim.engine.totals.Totals`."""

    arrived: int = 0
    completed: int = 0
    failed: int = 0
    refused: int = 0
    abandoned: int = 0
    good: int = 0
    input_tokens_completed: int = 0
    delivered_tokens: int = 0

    @property
    def ended(self) -> int:
        """Requests that came to an end, well or not."""
        return self.completed + self.failed + self.refused + self.abandoned


class TenantTally:
    """Counters and latencies by tenant, with the meanings that the recorder gives them for all together.

    Parameters
    ----------
    names : of the tenants, by index.
    slos : limits of each.
    piles : (tenant, pile) of every pile of jobs that the run should see.
    warmup_s : latencies are those of requests that arrive after it.

    Attributes
    ----------
    totals, opened : counters by tenant, now and at the end of the warm-up.
    histograms : latencies by tenant and name.
    piles : how far each pile of jobs came.
    rows : tenant of each row that the recorder keeps, only where rows are asked for.
    """

    __slots__ = ("_warmup_s", "histograms", "names", "opened", "piles", "rows", "slos", "totals")

    def __init__(
        self,
        names: Sequence[str],
        slos: Sequence[ServiceLevel],
        piles: Sequence[Piles],
        warmup_s: float,
        record_requests: bool,
    ) -> None:
        self.names = tuple(names)
        self.slos = tuple(slos)
        self.totals = [TenantTotals() for _ in names]
        self.opened = [total.copy() for total in self.totals]
        self.histograms = [{name: BufferedHistogram() for name in LATENCIES} for _ in names]
        self.piles = PileTally(piles)
        self.rows: list[int] | None = [] if record_requests else None
        self._warmup_s = warmup_s

    def open(self) -> None:
        """End of the warm-up."""
        self.opened = [total.copy() for total in self.totals]

    def arrived(self, tenant: int) -> None:
        """A client sent its first attempt."""
        self.totals[tenant].arrived += 1

    def completed(self, request: Request, now_s: float, ttft_s: float, tpot_s: float, *, good: bool) -> None:
        """The last token of a request is out."""
        tenant = request.tenant
        totals = self.totals[tenant]
        totals.completed += 1
        totals.good += good
        totals.input_tokens_completed += request.input_tokens
        totals.delivered_tokens += request.output_tokens
        self.piles.completed(request, now_s)
        if request.arrival_s < self._warmup_s:
            return
        if self.rows is not None:
            self.rows.append(tenant)
        histograms = self.histograms[tenant]
        ttft = histograms["ttft_s"].pending
        ttft.append(ttft_s)
        histograms["e2el_s"].pending.append(now_s - request.arrival_s)
        if request.output_tokens > 1:
            histograms["tpot_s"].pending.append(tpot_s)
        if len(ttft) >= FLUSH:
            for histogram in histograms.values():
                histogram.flush()

    def left(self, request: Request) -> None:
        """A request ended without completing."""
        totals = self.totals[request.tenant]
        if request.state is State.FAILED:
            totals.failed += 1
        elif request.state is State.REFUSED:
            totals.refused += 1
        else:
            totals.abandoned += 1

    def close(self, totals: Totals) -> None:
        """End of the run: all values into the histograms, and the tenants must add up to the whole.

        Raises
        ------
        IdentityError : a counter of the tenants does not add up, which is a defect of this package.
        """
        for histograms in self.histograms:
            for histogram in histograms.values():
                histogram.flush()
        self.piles.flush()
        for field in fields(TenantTotals):
            parts, whole = sum(getattr(total, field.name) for total in self.totals), getattr(totals, field.name)
            if parts != whole:
                raise IdentityError(f"identity does not hold: {field.name} of all tenants: {parts} against {whole}")
