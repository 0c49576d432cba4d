"""The price of one model at one provider, and what a volume or a request costs at it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from sim.cost.inputs import Input
from sim.errors import ScenarioError
from sim.units import MILLION

Weights = Literal["open", "closed", "unverified"]


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """The four counters that providers bill; any scale (tokens of a request, millions of a year).

    Attributes
    ----------
    uncached_input, cached_input, cache_write : prompt tokens that were computed, that were read from the provider's
        cache, that were computed and kept in it. A prompt token counts once.
    output : generated tokens, reasoning included.

    Raises
    ------
    ScenarioError : a count is negative or not finite.
    """

    uncached_input: float
    cached_input: float
    cache_write: float
    output: float

    def __post_init__(self) -> None:
        for key in ("uncached_input", "cached_input", "cache_write", "output"):
            if not 0 <= getattr(self, key) < inf:
                raise ScenarioError("out of range", key=key, value=getattr(self, key), valid="at least 0, finite")

    @property
    def prompt(self) -> float:
        """All input."""
        return self.uncached_input + self.cached_input + self.cache_write


@dataclass(frozen=True, slots=True)
class LongTier:
    """Multipliers for the whole of a request whose prompt is longer than a threshold."""

    above_prompt_tokens: float
    input_multiplier: float
    output_multiplier: float


@dataclass(frozen=True, slots=True)
class ApiPrice:
    """Dollars per million tokens.

    Attributes
    ----------
    model, provider : names of the price book.
    weights : whether the weights can be had (`open`), cannot (`closed`), or were not looked into.
    input, output : price of uncached input and of output.
    cached_input : price of input read from the cache; None where the provider bills it as uncached.
    cache_write : price of input that is kept in the cache; None where the provider does not charge for keeping it.
    long_tier : higher prices for long prompts, if any.
    """

    model: str
    provider: str
    weights: Weights
    input: Input
    output: Input
    cached_input: Input | None = None
    cache_write: Input | None = None
    long_tier: LongTier | None = None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The prices, with where they come from."""
        return tuple(item for item in (self.input, self.cached_input, self.cache_write, self.output) if item)

    def billed(self, *, uncached_input: float, cached_input: float, output: float) -> TokenCounts:
        """Counters of a traffic in this provider's terms.

        Where the provider charges cache writes, traffic with hits pays them for all input that was computed: it had to
        be written before it could be found. Where it has no price for cached input, all input is uncached.
        """
        if self.cached_input is None:
            return TokenCounts(uncached_input + cached_input, 0.0, 0.0, output)
        if self.cache_write is not None and cached_input > 0:
            return TokenCounts(0.0, cached_input, uncached_input, output)
        return TokenCounts(uncached_input, cached_input, 0.0, output)

    def amounts(self, counts: TokenCounts) -> tuple[float, float, float, float]:
        """Price times count of uncached input, cached input, cache write and output; dollars if counts are millions."""
        cached, write = self.cached_input or self.input, self.cache_write or self.input
        return (
            counts.uncached_input * self.input.value,
            counts.cached_input * cached.value,
            counts.cache_write * write.value,
            counts.output * self.output.value,
        )

    def request_usd(self, counts: TokenCounts) -> float:
        """Dollars for one request; a prompt above the threshold of the long tier pays its multipliers on everything.

        Checked: 0.0462 for 10 k uncached, 90 k cached and 2 k output tokens of GLM-5.2; 1.23 for 300 k uncached and 2 k
        output tokens of GPT-6.1 Sol.
        """
        *prompt, output = self.amounts(counts)
        tier = self.long_tier
        if tier is not None and counts.prompt > tier.above_prompt_tokens:
            return (sum(prompt) * tier.input_multiplier + output * tier.output_multiplier) / MILLION
        return (sum(prompt) + output) / MILLION

    def effective_usd_per_mtok_output(self, input_output_ratio: float, cache_hit_frac: float) -> float:
        """Dollars per million output tokens with all input included, at the price of short prompts.

        Parameters
        ----------
        input_output_ratio : input tokens per output token.
        cache_hit_frac : share of the input found in the provider's cache.

        Raises
        ------
        ScenarioError : a parameter is out of range.

        Checked: 5.80, 15.60, 15.62 and 94.80 for GLM-5.2 at ratios of 1, 8, 30 and 293.74 with hits of 0, 0, 90 and
        95.81 %.
        """
        if not 0 <= input_output_ratio < inf:
            raise ScenarioError("out of range", key="input_output_ratio", value=input_output_ratio, valid="at least 0")
        if not 0 <= cache_hit_frac <= 1:
            raise ScenarioError("out of range", key="cache_hit_frac", value=cache_hit_frac, valid="0 to 1")
        cached = input_output_ratio * cache_hit_frac
        return sum(
            self.amounts(self.billed(uncached_input=input_output_ratio - cached, cached_input=cached, output=1.0))
        )

    def times(self, multiplier: float) -> ApiPrice:
        """The same with every price multiplied: a batch, priority or residency tier."""

        def scaled(item: Input | None) -> Input | None:
            return None if item is None else replace(item, value=item.value * multiplier)

        return replace(
            self,
            input=replace(self.input, value=self.input.value * multiplier),
            output=replace(self.output, value=self.output.value * multiplier),
            cached_input=scaled(self.cached_input),
            cache_write=scaled(self.cache_write),
        )
