"""What every section of a scenario shares: unknown keys refused, frozen, finite numbers only."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of all sections.

    Unknown keys, NaN and infinities are refused; nothing changes after validation. Numbers are strict: `yes` is no 1
    and `"8"` is no 8.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
"""A number of things, at least one."""

CountOrZero = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
"""A number of things, possibly none."""

Fraction = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]
"""A share between 0 and 1."""

Seconds = Annotated[float, Field(strict=True, gt=0.0, le=1e9)]
"""A duration above zero."""

SecondsOrZero = Annotated[float, Field(strict=True, ge=0.0, le=1e9)]
"""A duration, possibly zero."""

Milliseconds = Annotated[float, Field(strict=True, gt=0.0, le=1e9)]
"""A latency limit above zero."""
