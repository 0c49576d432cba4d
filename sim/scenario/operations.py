"""Planned work on replicas: upgrades, exchanges of the model, and when they may happen."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.fleet import Days, Hours
from sim.scenario.section import Seconds, SecondsOrZero, Section

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
OperationName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
HourOfDay = Annotated[float, Field(strict=True, ge=0.0, le=24.0)]


class WindowSection(Section):
    """When a replica may be taken for planned work; the clock begins on a Monday at 0 h."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    """Days of the week."""
    from_h: HourOfDay
    """Hour of the day at which it opens."""
    to_h: HourOfDay
    """Hour of the day at which it closes; work that has begun goes on."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.from_h >= self.to_h:
            raise ValueError("must open before it closes; two windows are needed for a night that passes midnight")
        return self


class OperationSection(Section):
    """One kind of planned work.

    `engine_upgrade`, `driver_upgrade`, `model_change` and `weight_swap` take what is left out from the catalog
    (`sim catalog reliability`); another name needs its interval.
    """

    strategy: Literal["rolling", "in_place", "blue_green", "canary"] | None = None
    """One replica after the other; a pause for new weights in place; new replicas beside the old ones; or rolling, the
    first one being watched for a while."""
    interval_days: Days | None = None
    """From one beginning to the next."""
    first_days: Days | None = None
    """When it first begins; without it, after half of the interval."""
    drain_s: SecondsOrZero | None = None
    """No new requests for so long before a replica stops."""
    work_h: Hours | None = None
    """What is done while a replica is stopped, beside its restart."""
    cold: bool | None = None
    """Whether kernels must be compiled again: `reliability.cold_compile_s`."""
    pause_s: SecondsOrZero | None = None
    """No steps while weights are exchanged in place."""
    soak_s: Seconds | None = None
    """How long the first replica is watched under `canary`."""
    wait_for_all: bool = True
    """Whether a replica is taken only while all replicas serve with all of their ranks."""
    window: WindowSection | None = None
    """When replicas may be taken; without it, always."""
