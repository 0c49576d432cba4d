"""Piles of jobs with a release and a due time: work that fills what interactive load leaves free."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from sim.scenario.section import Count, Seconds, SecondsOrZero, Section

Jobs = Annotated[int, Field(strict=True, ge=1, le=100_000_000)]
Amount = Annotated[int, Field(strict=True, ge=1, le=10**15)]
Hours = Annotated[float, Field(strict=True, gt=0.0, le=1e6)]


class BatchSection(Section):
    """Piles of jobs: `requests` or `tokens` of them, released at a time, due at a later one.

    A job is judged by its due time alone, not by limits on latency, and its client waits for it without a timeout.
    """

    requests: Jobs | None = None
    """Jobs in each pile."""
    tokens: Amount | None = None
    """Instead: prompt and output tokens in each pile; the job that reaches them is the last."""
    release_s: SecondsOrZero = 0.0
    """When the first pile may begin, on the clock of the run."""
    every_s: Seconds | None = None
    """Another pile is released at this interval, 86400 for one each day; without it there is one."""
    deadline_h: Hours | None = None
    """Hours from the release of a pile to its due time; without it and `due_s`, the preset's."""
    due_s: Seconds | None = None
    """Instead, for a single pile: its due time on the clock of the run."""
    spread_s: SecondsOrZero = 0.0
    """The jobs of a pile become known at random moments of so long a time after its release, not all at once."""
    max_in_flight: Count | None = None
    """The client keeps at most so many jobs in flight and sends the next when one ends; without it, it sends each job
    as soon as it is released, and the queue of the cluster holds the pile."""
    root_tokens: Annotated[int, Field(strict=True, ge=0, le=10_000_000)] | None = None
    """Leading tokens that all jobs share, as instructions; without it, those of the preset, or none."""

    @model_validator(mode="after")
    def _one_size_and_one_due_time(self) -> Self:
        if (self.requests is None) == (self.tokens is None):
            raise ValueError("needs either requests or tokens, the size of a pile")
        if self.deadline_h is not None and self.due_s is not None:
            raise ValueError("needs deadline_h or due_s, not both")
        if self.due_s is not None:
            if self.every_s is not None:
                raise ValueError("due_s is the due time of a single pile: use deadline_h with every_s")
            if self.due_s <= self.release_s:
                raise ValueError(f"due_s {self.due_s:g} is not after release_s {self.release_s:g}")
        return self
