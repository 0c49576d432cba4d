"""One source of requests: laws, a preset or a trace, as single requests, sessions or piles of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sim.scenario.arrivals import Arrivals, ClosedLoopArrivals, PresetArrivals, ServeGenArrivals, TraceArrivals
from sim.scenario.batch import BatchSection
from sim.scenario.lengths import Length, QuantilesFile
from sim.scenario.section import Seconds, Section
from sim.scenario.sessions import SessionsSection
from sim.scenario.workload_presets import known, preset_rate_rps, session_presets, workload_presets

MAX_TICK_S = 1e9
NEEDED = ("arrivals", "input_tokens", "output_tokens")


def _known_preset(name: str) -> str:
    return known(name, list(dict.fromkeys((*workload_presets(), *session_presets()))), "workload")


WorkloadPreset = Annotated[str, AfterValidator(_known_preset)]


def _seconds_or_auto(value: object) -> object:
    """One sentence instead of one per possible type."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_TICK_S
    if value is None or value == "auto" or number:
        return value
    raise ValueError(f"must be auto, or seconds above 0 and up to {MAX_TICK_S:g}")


class TraceSection(Section):
    """A file of recorded requests to replay, its first request at time zero.

    Scalings apply in this order: `dequantise_s`, `thin_frac`, `replicate`, `time_warp`, `max_requests`. The first
    three draw at random, anew in each replication.
    """

    path: Annotated[str, Field(min_length=1)]
    """The file, gzip or not; relative to the scenario file, else to the working folder."""
    format: Literal[
        "auto",
        "azure",
        "mooncake",
        "csv",
        "vllm_timed_trace",
        "bailian",
        "burstgpt",
        "burstgpt_with_failures",
        "ragpulse",
        "claude_code",
    ] = "auto"
    """Told from the first line by default; `vllm_timed_trace` (Mooncake's fields in seconds) and
    `burstgpt_with_failures` (failed requests kept) must be named."""
    sort: bool = False
    """Put unsorted requests in order of time instead of refusing the file."""
    dequantise_s: Annotated[Literal["auto"] | Seconds | None, BeforeValidator(_seconds_or_auto)] = None
    """Spread requests stamped by a coarse clock over one tick: its length, or `auto` to find it."""
    thin_frac: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] = 1.0
    """Keep each request with this probability: fewer users, bursts diluted."""
    replicate: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 1
    """Lay shifted copies over each other: that many times the users, with prefixes of their own."""
    time_warp: Annotated[float, Field(strict=True, gt=0.0, le=1e6)] = 1.0
    """Divide all times by this: a higher rate with the same pattern of bursts."""
    max_requests: Annotated[int, Field(strict=True, ge=1, le=10**12)] | None = None
    """Replay the earliest ones only."""


class SourceSection(Section):
    """A load: `arrivals`, `input_tokens` and `output_tokens`; or a `preset`, which they override; or a `trace`.

    With `sessions` a preset or a file of recorded sessions makes conversations and agents instead of single requests;
    with `batch` lengths come in piles that are due at a time, instead of arriving one by one.
    """

    preset: WorkloadPreset | None = None
    """Workload of the catalog (`sim catalog workloads`): burst law, lengths, and what its sessions are like."""
    arrivals: Arrivals | None = None
    """When requests arrive."""
    input_tokens: Length | None = None
    """Prompt lengths."""
    output_tokens: Length | None = None
    """Output lengths, reasoning included."""
    rank_correlation: Annotated[float, Field(strict=True, ge=-1.0, le=1.0)] | None = None
    """Spearman correlation of prompt and output length; without it, that of the preset, or none."""
    output_scale: Annotated[float, Field(strict=True, gt=0.0, le=1000.0)] = 1.0
    """Factor on every output length, for a model that reasons at more length than the one observed."""
    trace: TraceSection | None = None
    """Recorded requests instead of laws."""
    sessions: SessionsSection | None = None
    """Sessions of calls that wait for each other and share their prefixes, instead of single requests."""
    batch: BatchSection | None = None
    """Piles of jobs with a release and a due time, instead of arrivals: backfill."""

    @property
    def rate_is_given_elsewhere(self) -> bool:
        """Whether the rate is not of this section: a part of a mix may have a share of the mix's."""
        return False

    @property
    def empty(self) -> bool:
        """Whether the requests come from elsewhere: from the parts of a mix."""
        return False

    def files(self) -> list[str]:
        """Names of the files that hold parts of the load."""
        named = (self.trace, self.arrivals, self.input_tokens, self.output_tokens)
        return [
            section.path for section in named if isinstance(section, TraceSection | ServeGenArrivals | QuantilesFile)
        ]

    @model_validator(mode="before")
    @classmethod
    def _preset_is_the_default_process(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("preset") is None:
            return values
        arrivals = values.get("arrivals")
        if not isinstance(arrivals, Mapping) or "process" in arrivals:
            return values
        return {**values, "arrivals": {"process": "preset", **arrivals}}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.empty:
            return self
        if self.batch is not None:
            self._piles_alone()
        elif self.sessions is not None:
            self._sessions_alone(self.sessions)
        elif self.trace is not None:
            self._replays_alone()
        elif isinstance(self.arrivals, TraceArrivals):
            raise ValueError("arrivals.process trace needs a trace section with a path")
        elif self.preset is None:
            self._stands_without_preset()
        elif self.preset not in workload_presets():
            self._stands_without_lengths(self.preset)
        elif self._rate_is_missing(self.preset):
            raise ValueError(
                f"preset {self.preset!r} sets the shape of arrivals, not their rate: give arrivals.rate_rps"
            )
        return self

    def _piles_alone(self) -> None:
        given = [key for key in ("arrivals", "sessions") if getattr(self, key) is not None]
        if given:
            raise ValueError(f"batch says when its jobs are sent: remove {', '.join(given)}, or batch")
        if self.trace is not None:
            self._replays_alone()
            if self.trace.time_warp != 1:
                raise ValueError("batch makes its own times: remove trace.time_warp")
        elif self.preset is None:
            self._stands_without_preset()
        elif self.preset not in workload_presets():
            self._stands_without_lengths(self.preset)

    def _sessions_alone(self, sessions: SessionsSection) -> None:
        extra = ("arrivals", "input_tokens", "output_tokens", "rank_correlation")
        given = [key for key in extra if getattr(self, key) is not None]
        if given:
            raise ValueError(f"sessions bring their own arrivals and lengths: remove {', '.join(given)}, or sessions")
        if (self.preset is None) == (self.trace is None):
            raise ValueError("sessions need either a preset or a trace of recorded sessions")
        if not self.rate_is_given_elsewhere and not sessions.begins:
            raise ValueError("sessions needs one of rate_per_s, arrivals and concurrency, not none")
        foreign = sessions.foreign(recorded=self.trace is not None)
        if foreign:
            kind = "recorded sessions" if self.trace is not None else "sessions of a preset"
            raise ValueError(f"sessions.{foreign[0]} says nothing about {kind}: remove it")
        if self.preset is not None and self.preset not in session_presets():
            raise ValueError(f"preset {self.preset!r} has no sessions; those that do: {', '.join(session_presets())}")
        if self.trace is not None:
            changed = sorted(self.trace.model_fields_set - {"path", "format"})
            if changed or self.trace.format not in ("auto", "claude_code"):
                what = f"trace.{changed[0]}" if changed else f"trace.format {self.trace.format}"
                raise ValueError(f"sessions replay a file of recorded sessions as it is: remove {what}, or sessions")
        elif self._rate_of_sessions_is_missing(sessions):
            raise ValueError("sessions.arrivals needs rate_rps: how many sessions begin per second")

    def _rate_of_sessions_is_missing(self, sessions: SessionsSection) -> bool:
        arrivals = sessions.arrivals
        open_rate = isinstance(arrivals, PresetArrivals) and arrivals.rate_rps is None
        return open_rate and not self.rate_is_given_elsewhere

    def _stands_without_lengths(self, preset: str) -> None:
        raise ValueError(
            f"preset {preset!r} makes sessions of calls that wait for each other: write sessions: {{rate_per_s: ...}} "
            "or sessions: {concurrency: ...} in place of arrivals and lengths"
        )

    def _replays_alone(self) -> None:
        extra = ("preset", "input_tokens", "output_tokens", "rank_correlation")
        given = [key for key in extra if getattr(self, key) is not None]
        if given:
            raise ValueError(f"trace brings its own lengths: remove {', '.join(given)}, or trace")
        if not isinstance(self.arrivals, TraceArrivals | ClosedLoopArrivals | None):
            raise ValueError(  # noqa: TRY004 - pydantic reports a ValueError
                "trace brings its own arrivals: remove arrivals, or trace (a closed_loop may use its lengths)"
            )
        if isinstance(self.arrivals, ClosedLoopArrivals) and self.trace is not None and self.trace.time_warp != 1:
            raise ValueError("a closed_loop makes its own arrival times: remove trace.time_warp")

    def _stands_without_preset(self) -> None:
        if isinstance(self.arrivals, PresetArrivals):
            raise ValueError("arrivals.process preset needs workload.preset")  # noqa: TRY004 - as above
        needed = ("input_tokens", "output_tokens") if self._has_no_arrivals else NEEDED
        missing = [key for key in needed if getattr(self, key) is None]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}; give them, or a preset, or a trace")

    @property
    def _has_no_arrivals(self) -> bool:
        """Whether no arrivals are to be given: jobs have none, and a share of a mix is Poisson."""
        return self.batch is not None or self.rate_is_given_elsewhere

    def _rate_is_missing(self, preset: str) -> bool:
        if self.rate_is_given_elsewhere:
            return False
        uses_preset = isinstance(self.arrivals, PresetArrivals | None)
        rate_rps = None if self.arrivals is None else getattr(self.arrivals, "rate_rps", None)
        return uses_preset and rate_rps is None and preset_rate_rps(preset) is None
