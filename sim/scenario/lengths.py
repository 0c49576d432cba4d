"""How long prompts and outputs are, in tokens of the served model."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.section import Section

Tokens = Annotated[int, Field(strict=True, ge=1, le=100_000_000)]
TokensFloat = Annotated[float, Field(strict=True, ge=1.0, le=1e8)]
Probability = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]


class ConstantLength(Section):
    """The same length every time."""

    law: Literal["constant"]
    """One length."""
    tokens: Tokens
    """The length."""


class UniformLength(Section):
    """All lengths between two bounds alike: `min_tokens` to `max_tokens`, or `nominal_tokens` with `range_ratio`."""

    law: Literal["uniform"]
    """Uniform over whole tokens."""
    min_tokens: Tokens | None = None
    """Shortest."""
    max_tokens: Tokens | None = None
    """Longest."""
    nominal_tokens: Tokens | None = None
    """The length that a benchmark is named after."""
    range_ratio: Annotated[float, Field(strict=True, ge=0.0, lt=1.0)] | None = None
    """vLLM's `--random-range-ratio` since 0.8.4: lengths from (1 - r) to (1 + r) times the nominal one."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        bounds = (self.min_tokens, self.max_tokens)
        ratio = (self.nominal_tokens, self.range_ratio)
        given = [all(part is not None for part in form) for form in (bounds, ratio)]
        touched = [any(part is not None for part in form) for form in (bounds, ratio)]
        if given != touched or sum(given) != 1:
            raise ValueError("needs either min_tokens and max_tokens, or nominal_tokens and range_ratio")
        if self.min_tokens is not None and self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is above max_tokens {self.max_tokens}")
        return self


class LognormalLength(Section):
    """Most short, a few very long."""

    law: Literal["lognormal"]
    """The logarithm of the length is normal."""
    median_tokens: TokensFloat
    """Median before the bounds."""
    sigma: Annotated[float, Field(strict=True, gt=0.0, le=10.0)]
    """Standard deviation of the natural logarithm."""
    min_tokens: Tokens = 1
    """Shortest."""
    max_tokens: Tokens | None = None
    """Longest."""
    truncation: Literal["clamp", "resample"] = "clamp"
    """`clamp` moves what lies outside onto the bound, `resample` draws again."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is above max_tokens {self.max_tokens}")
        return self


class QuantilesLength(Section):
    """Measured quantiles, linear between them and flat beyond them."""

    law: Literal["quantiles"]
    """A table of quantiles."""
    probabilities: Annotated[tuple[Probability, ...], Field(min_length=2)]
    """Increasing."""
    tokens: Annotated[tuple[TokensFloat, ...], Field(min_length=2)]
    """Length at each probability, not decreasing."""

    @model_validator(mode="after")
    def _table_in_order(self) -> Self:
        if len(self.probabilities) != len(self.tokens):
            raise ValueError(f"has {len(self.probabilities)} probabilities but {len(self.tokens)} tokens")
        if not all(a < b for a, b in pairwise(self.probabilities)):
            raise ValueError("probabilities must increase")
        if not all(a <= b for a, b in pairwise(self.tokens)):
            raise ValueError("tokens must not decrease")
        return self


class QuantilesFile(Section):
    """Measured quantiles from a CSV file, linear between them and flat beyond them."""

    law: Literal["quantiles_csv"]
    """A table of quantiles in a file, as ServeGen's pools are summed up in."""
    path: Annotated[str, Field(min_length=1)]
    """CSV with a column `p` of increasing probabilities; relative to the scenario file, else to the working folder."""
    column: Annotated[str, Field(min_length=1)]
    """Which column holds the lengths, such as `input_tokens`."""


class EmpiricalLength(Section):
    """Only the given lengths, in proportion to their weights."""

    law: Literal["empirical"]
    """Values with weights."""
    tokens: Annotated[tuple[Tokens, ...], Field(min_length=1)]
    """Possible lengths, increasing."""
    weights: tuple[Annotated[float, Field(strict=True, ge=0.0)], ...] | None = None
    """One per length; equal without them."""

    @model_validator(mode="after")
    def _values_in_order(self) -> Self:
        if not all(a < b for a, b in pairwise(self.tokens)):
            raise ValueError("tokens must increase")
        if self.weights is not None and len(self.weights) != len(self.tokens):
            raise ValueError(f"has {len(self.weights)} weights but {len(self.tokens)} tokens")
        if self.weights is not None and not any(self.weights):
            raise ValueError("weights must not all be zero")
        return self


Length = Annotated[
    ConstantLength | UniformLength | LognormalLength | QuantilesLength | QuantilesFile | EmpiricalLength,
    Field(discriminator="law"),
]
