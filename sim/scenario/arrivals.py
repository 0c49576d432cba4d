"""When requests arrive: open-loop processes, the closed loop, a preset, or a trace."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from sim.scenario.section import Count, Seconds, SecondsOrZero, Section
from sim.scenario.workload_presets import known, mmpp_presets, profile_presets
from sim.workload.arrivals.renewal import MAX_CV

Rate = Annotated[float, Field(strict=True, gt=0.0, le=1e6)]
RateOrZero = Annotated[float, Field(strict=True, ge=0.0, le=1e6)]
Cv = Annotated[float, Field(strict=True, ge=0.0, le=MAX_CV)]
Burstiness = Annotated[float, Field(strict=True, ge=1 / MAX_CV**2, le=1e6)]
HourOfWeek = Annotated[float, Field(strict=True, ge=0.0, lt=168.0)]
MmppPreset = Annotated[str, AfterValidator(lambda name: known(name, mmpp_presets(), "MMPP"))]
ProfilePreset = Annotated[str, AfterValidator(lambda name: known(name, profile_presets(), "profile"))]


class PoissonShape(Section):
    """Many independent users, none of them large."""

    process: Literal["poisson"]
    """Exponential gaps."""


class GammaShape(Section):
    """Independent gaps of a Gamma law; give `cv` or `burstiness`."""

    process: Literal["gamma"]
    """Gamma gaps, as load generators make them."""
    cv: Cv | None = None
    """Standard deviation over mean of the gaps; 1 is Poisson."""
    burstiness: Burstiness | None = None
    """vLLM's `--burstiness`, the shape of the Gamma law: 1 / cv^2. Smaller is burstier."""

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.cv is None) == (self.burstiness is None):
            raise ValueError("needs either cv or burstiness (burstiness = 1 / cv^2)")
        return self


class WeibullShape(Section):
    """Independent gaps of a Weibull law."""

    process: Literal["weibull"]
    """Weibull gaps: a heavier tail than Gamma at the same cv."""
    cv: Annotated[float, Field(strict=True, gt=0.0, le=MAX_CV)]
    """Standard deviation over mean of the gaps; 1 is Poisson."""


class MmppShape(Section):
    """Bursts that last: a rate that jumps between states. Give `preset`, or `rates_rps` and `mean_dwell_s`."""

    process: Literal["mmpp"]
    """Markov-modulated Poisson process."""
    preset: MmppPreset | None = None
    """Fit to a real trace, such as `azure2023_code` or `azure2023_conv`."""
    rates_rps: Annotated[tuple[RateOrZero, ...], Field(min_length=2, max_length=100)] | None = None
    """Arrival rate in each state."""
    mean_dwell_s: Annotated[tuple[Seconds, ...], Field(min_length=2, max_length=100)] | None = None
    """Mean time per visit in each state."""
    jump_probabilities: tuple[tuple[Annotated[float, Field(strict=True, ge=0.0, le=1.0)], ...], ...] | None = None
    """Row i: probabilities of the next state on leaving i, zero on the diagonal; without it, all others are alike."""

    @model_validator(mode="after")
    def _preset_or_numbers(self) -> Self:
        explicit = (self.rates_rps, self.mean_dwell_s, self.jump_probabilities)
        if self.preset is not None:
            if any(value is not None for value in explicit):
                raise ValueError("preset already sets rates_rps, mean_dwell_s and jump_probabilities")
        elif self.rates_rps is None or self.mean_dwell_s is None:
            raise ValueError("needs preset, or both rates_rps and mean_dwell_s")
        elif len(self.rates_rps) != len(self.mean_dwell_s):
            raise ValueError(f"has {len(self.rates_rps)} rates_rps but {len(self.mean_dwell_s)} mean_dwell_s")
        return self


BurstShape = Annotated[PoissonShape | GammaShape | WeibullShape | MmppShape, Field(discriminator="process")]


class PoissonArrivals(PoissonShape):
    """Poisson arrivals."""

    rate_rps: Rate
    """Mean requests per second."""


class DeterministicArrivals(Section):
    """Equal gaps."""

    process: Literal["deterministic"]
    """A constant rate."""
    rate_rps: Rate
    """Requests per second."""


class GammaArrivals(GammaShape):
    """Gamma renewal arrivals."""

    rate_rps: Rate
    """Mean requests per second."""


class WeibullArrivals(WeibullShape):
    """Weibull renewal arrivals."""

    rate_rps: Rate
    """Mean requests per second."""


class MmppArrivals(MmppShape):
    """Markov-modulated Poisson arrivals."""

    rate_rps: Rate | None = None
    """Mean requests per second: scales the rates of all states and leaves the dwell times; without it, as given."""


class ProfileArrivals(Section):
    """A rate that changes with time; give `preset`, or `edges_s` and `rates_rps`."""

    process: Literal["profile"]
    """Season by the profile, bursts by the base process."""
    preset: ProfilePreset | None = None
    """A week of hourly load, Monday 00:00 UTC first, such as `azure2024_conv` or `azure2024_code`."""
    rate_rps: Rate | None = None
    """Long-run mean rate, quiet hours included; without it, that of the preset or of the series."""
    edges_s: Annotated[tuple[SecondsOrZero, ...], Field(min_length=2)] | None = None
    """Times at which segments begin and end; the first is 0."""
    rates_rps: Annotated[tuple[RateOrZero, ...], Field(min_length=1)] | None = None
    """One rate per segment, or one per edge with `interpolation: linear`."""
    interpolation: Literal["constant", "linear"] = "constant"
    """Rate between two edges."""
    after: Literal["repeat", "hold"] = "repeat"
    """What follows the last edge: the series again, or its last rate for ever."""
    start_h: HourOfWeek = 0.0
    """Where in the profile the run begins, in hours."""
    base: BurstShape = PoissonShape(process="poisson")
    """How arrivals cluster, apart from the season."""

    @model_validator(mode="after")
    def _preset_or_series(self) -> Self:
        if self.preset is not None:
            if self.edges_s is not None or self.rates_rps is not None:
                raise ValueError("preset already sets edges_s and rates_rps")
            if {"interpolation", "after"} & self.model_fields_set:
                raise ValueError("preset is a repeating week of hours; interpolation and after belong to edges_s")
        elif self.edges_s is None or self.rates_rps is None:
            raise ValueError("needs preset, or both edges_s and rates_rps")
        return self


class ClientsArrivals(Section):
    """Clients of very different size, each bursty on its own."""

    process: Literal["clients"]
    """Independent Gamma renewal processes, one per client."""
    rate_rps: Rate
    """Mean requests per second of all clients together, before any leaves."""
    clients: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    """How many."""
    zipf: Annotated[float, Field(strict=True, ge=0.0, le=10.0)]
    """Exponent of their sizes: 0 for equal ones; 1.2 gives ten of a hundred 68 % of the traffic, where pools of a
    public service have 63 to 79 %."""
    cv: Cv
    """Standard deviation over mean of one client's gaps; the sum of many is smoother."""
    without_largest: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 0
    """What if so many of the largest left: the others stay as they are, and the rate falls."""
    duplicate_largest: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 0
    """What if so many of the largest came twice: the others stay as they are, and the rate rises."""

    @model_validator(mode="after")
    def _somebody_left(self) -> Self:
        _one_what_if(self.without_largest, self.duplicate_largest)
        if self.duplicate_largest > self.clients:
            raise ValueError(f"duplicate_largest {self.duplicate_largest} is more than {self.clients} clients")
        if self.without_largest >= self.clients:
            raise ValueError(f"without_largest {self.without_largest} leaves none of {self.clients} clients")
        return self


class ServeGenArrivals(Section):
    """The recorded clients of a service over their windows of ten minutes, as ServeGen publishes them."""

    process: Literal["servegen"]
    """Each client with the rate and the bursts of each of its windows; the load ends with the record."""
    path: Annotated[str, Field(min_length=1)]
    """Parquet file with `workload, client, window_start_s, rate_rps, pattern, shape`; relative to the scenario file,
    else to the working folder."""
    pool: Annotated[str, Field(min_length=1)]
    """Which `workload` of the file, such as `m-large` or `deepseek-r1`."""
    start_s: SecondsOrZero = 0.0
    """Where in the record the run begins."""
    scale: Annotated[float, Field(strict=True, gt=0.0, le=1e6)] = 1.0
    """Factor on the rate of every client; their bursts keep their shape."""
    without_largest: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 0
    """What if so many of the largest clients left: the others stay as they are."""
    duplicate_largest: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 0
    """What if so many of the largest clients came twice."""

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        _one_what_if(self.without_largest, self.duplicate_largest)
        return self


def _one_what_if(without_largest: int, duplicate_largest: int) -> None:
    if without_largest and duplicate_largest:
        raise ValueError("without_largest and duplicate_largest are two questions: ask one at a time")


class ClosedLoopArrivals(Section):
    """A fixed number of callers, as published benchmarks use; supports no claim about a service level."""

    process: Literal["closed_loop"]
    """Each caller sends its next request after its answer."""
    concurrency: Count
    """Callers, all starting at time zero."""
    think_s: SecondsOrZero = 0.0
    """Pause between an answer and the next request."""


class TraceArrivals(Section):
    """The times of the trace in `workload.trace`; the default where there is one."""

    process: Literal["trace"]
    """Replay."""


class PresetArrivals(Section):
    """The burst law of `workload.preset`; the default where there is one, so `process` may be left out."""

    process: Literal["preset"] = "preset"
    """As the preset."""
    rate_rps: Rate | None = None
    """Mean requests per second; needed where the preset describes a shape only."""
    week_profile: bool = False
    """Also follow the preset's week of hourly load, with `rate_rps` as the mean over the week."""
    start_h: HourOfWeek = 0.0
    """Hour of the week at which the run begins, Monday 00:00 UTC being 0; for `week_profile`."""

    @model_validator(mode="after")
    def _start_needs_a_week(self) -> Self:
        if self.start_h and not self.week_profile:
            raise ValueError("start_h has no meaning without week_profile: true")
        return self


Arrivals = Annotated[
    PoissonArrivals
    | DeterministicArrivals
    | GammaArrivals
    | WeibullArrivals
    | MmppArrivals
    | ProfileArrivals
    | ClientsArrivals
    | ServeGenArrivals
    | ClosedLoopArrivals
    | TraceArrivals
    | PresetArrivals,
    Field(discriminator="process"),
]
