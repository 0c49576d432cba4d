"""The figures that describe a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass

from sim.workload.trace.fits import GapFit


@dataclass(frozen=True, slots=True)
class GapSummary:
    """Times between arrivals.

    Attributes
    ----------
    cv : standard deviation over mean of all gaps, the moment estimate.
    median_window_cv : median over 5-minute windows of the CV of the gaps between arrivals of one window; None when
        no window has two gaps.
    exponential_ks, gamma, weibull : fits to the positive gaps by maximum likelihood; None when they cannot be made.
    zero_gaps : gaps of exactly zero, which the fits leave out; many of them tell of a coarse clock.
    """

    cv: float
    median_window_cv: float | None
    exponential_ks: float | None
    gamma: GapFit | None
    weibull: GapFit | None
    zero_gaps: int


@dataclass(frozen=True, slots=True)
class CountSummary:
    """Arrivals per window; the last, incomplete window is left out, and None stands where fewer than two are complete.

    Attributes
    ----------
    idc_1s, idc_10s, idc_60s : variance over mean of the counts; 1 for Poisson arrivals.
    peak_minute_ratio : largest count of a minute over the mean count.
    """

    idc_1s: float | None
    idc_10s: float | None
    idc_60s: float | None
    peak_minute_ratio: float | None


@dataclass(frozen=True, slots=True)
class SpreadSummary:
    """Gaps and counts of a trace whose coarse clock's ticks were spread, in one random version."""

    gaps: GapSummary
    counts: CountSummary


@dataclass(frozen=True, slots=True)
class LengthSummary:
    """Token lengths; quantiles interpolate linearly between order statistics.

    Attributes
    ----------
    log_mean, log_sigma : mean and standard deviation of the natural logarithms, the lognormal fit.
    log_ks : Kolmogorov-Smirnov distance to that lognormal law; None when all lengths are equal.
    """

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: int
    log_mean: float
    log_sigma: float
    log_ks: float | None


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What `describe` finds.

    Attributes
    ----------
    requests : how many.
    span_s : first to last arrival.
    rate_rps : requests over span.
    sessions : distinct conversations; None where the trace does not tell them.
    clock_tick_s : tick of a clock so coarse that requests share their times; None for a fine clock.
    gaps, counts : arrivals as they are stamped.
    spread : the same after `dequantise`, which alone means something under a coarse clock; None for a fine clock.
    input, output : lengths in tokens.
    input_per_output : total input over total output tokens.
    spearman : rank correlation of input and output; None when either is constant.
    prefix_hit_frac : share of prompt tokens that an unlimited prefix cache serves; None without hashed blocks.
    prefix_hit_last_half_frac : the same over the second half of the requests, when the cache is warm.
    """

    source: str
    requests: int
    span_s: float
    rate_rps: float
    sessions: int | None
    clock_tick_s: float | None
    gaps: GapSummary
    counts: CountSummary
    spread: SpreadSummary | None
    input: LengthSummary
    output: LengthSummary
    input_per_output: float
    spearman: float | None
    prefix_hit_frac: float | None
    prefix_hit_last_half_frac: float | None

    def as_dict(self) -> dict[str, object]:
        """All fields as nested plain data, for JSON."""
        return asdict(self)

    def figures(self) -> dict[str, float | None]:
        """All numbers by dotted name, as `gaps.gamma.shape`, in the order of the attributes."""
        return dict(_figures("", self))


def _figures(prefix: str, part: object) -> Iterator[tuple[str, float | None]]:
    for item in fields(part):  # type: ignore[arg-type]
        value = getattr(part, item.name)
        name = f"{prefix}{item.name}"
        if is_dataclass(value):
            yield from _figures(f"{name}.", value)
        elif not isinstance(value, str):
            yield name, value
