"""Sessions: conversations and agents whose next call waits for the answer to the one before."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from sim.scenario.arrivals import Arrivals, ClosedLoopArrivals, Rate, ServeGenArrivals, TraceArrivals
from sim.scenario.lengths import Tokens
from sim.scenario.section import Count, Fraction, Seconds, SecondsOrZero, Section

PRESET_ONLY = (
    "gap_median_s",
    "human_gap_median_s",
    "break_frac",
    "max_context_tokens",
    "sub_agent_calls_frac",
    "reasoning_in_context",
)
TRACE_ONLY = ("max_gap_s", "repeat")


class SessionsSection(Section):
    """Sessions instead of single requests: they arrive openly, and inside each a call follows the answer before it.

    Give one of `rate_per_s`, `arrivals` and `concurrency`. What sessions are like comes from `workload.preset`, or from
    `workload.trace` where that is a file of recorded sessions; the other keys change it.
    """

    rate_per_s: Rate | None = None
    """Sessions that begin per second, in the preset's burst law; Poisson for recorded ones. 100 agents at work with
    sessions of 40 minutes begin 0.04 per second."""
    arrivals: Arrivals | None = None
    """Instead: any open process for the beginnings of sessions; its rates count sessions, not requests."""
    concurrency: Count | None = None
    """Instead: this many sessions at all times; the next begins when one ends. The first are met part-way."""
    pause_s: SecondsOrZero = 0.0
    """With `concurrency`: pause between a session's end and the next one's beginning."""
    root_tokens: Annotated[int, Field(strict=True, ge=0, le=10_000_000)] | None = None
    """System prompt and tools that all sessions begin with."""
    gap_median_s: Seconds | None = None
    """Median pause between an answer and the next call: of the tool that an agent runs, or else of the user."""
    human_gap_median_s: Seconds | None = None
    """Median pause of the person that an agent answers to, in presets that have one."""
    break_frac: Fraction | None = None
    """Share of calls whose history was edited, so that it must be computed again."""
    max_context_tokens: Tokens | None = None
    """Prompt and answer beyond this are avoided: the history is replaced by a summary."""
    sub_agent_calls_frac: Annotated[float, Field(strict=True, ge=0.0, le=0.95)] | None = None
    """Share of calls made by sub-agents, in presets that have them."""
    reasoning_in_context: bool | None = None
    """Whether the next prompt contains the model's reasoning; without it, as in the preset."""
    abandon_after_s: Seconds | None = None
    """Mean patience with one answer, exponential; whoever waited longer ends the session. Without it, nobody does."""
    max_gap_s: SecondsOrZero | None = None
    """Recorded sessions: longer pauses are cut to this."""
    repeat: bool = False
    """Recorded sessions: start again with the first after the last, as new users, instead of ending the load."""

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        given = [key for key in ("rate_per_s", "arrivals", "concurrency") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"needs one of rate_per_s, arrivals and concurrency, not {' and '.join(given)}")
        if isinstance(self.arrivals, ClosedLoopArrivals | TraceArrivals | ServeGenArrivals):
            raise ValueError(  # noqa: TRY004 - pydantic reports a ValueError
                f"arrivals of sessions cannot be {self.arrivals.process}: use concurrency, or an open process"
            )
        if self.pause_s and self.concurrency is None:
            raise ValueError("pause_s belongs to concurrency")
        return self

    @property
    def begins(self) -> bool:
        """Whether it says when sessions begin."""
        return any(getattr(self, key) is not None for key in ("rate_per_s", "arrivals", "concurrency"))

    def foreign(self, *, recorded: bool) -> list[str]:
        """Keys that say nothing about sessions of this origin but were given."""
        keys = PRESET_ONLY if recorded else TRACE_ONLY
        return [key for key in keys if getattr(self, key) not in (None, False)]
