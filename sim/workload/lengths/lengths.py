"""Prompt and output length of each request, in arrival order."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.streams import BLOCK, Streams
from sim.workload.checks import between, positive
from sim.workload.lengths.law import Floats, LengthLaw, Tokens, whole
from sim.workload.trace.trace import Trace

INPUT_STREAM = "input_tokens"
OUTPUT_STREAM = "output_tokens"


class LengthSource(ABC):
    """Where a workload takes its lengths from."""

    __slots__ = ()

    @abstractmethod
    def blocks(self, streams: Streams) -> Iterator[tuple[Tokens, Tokens]]:
        """Input and output lengths, as consecutive pairs of equally long arrays."""

    @property
    @abstractmethod
    def mean_input_tokens(self) -> float:
        """Mean prompt length."""

    @property
    @abstractmethod
    def mean_output_tokens(self) -> float:
        """Mean output length."""


@dataclass(frozen=True, slots=True)
class Lengths(LengthSource):
    """Input and output lengths drawn from two laws, each from its own stream.

    Parameters
    ----------
    input_law, output_law : marginal laws; the streams are `input_tokens` and `output_tokens`.
    rank_correlation : Spearman correlation of input and output, made by a Gaussian copula with parameter
        2 sin(pi rho / 6); exact for continuous laws, slightly less where a law has few distinct lengths. Production
        chat and code traces show -0.02 to 0.07, retrieval about 0.4.
    output_scale : factor on each drawn output, for what-if questions such as a model that reasons at length.

    Raises
    ------
    ScenarioError : correlation outside [-1, 1] or scale not positive.
    """

    input_law: LengthLaw
    output_law: LengthLaw
    rank_correlation: float = 0.0
    output_scale: float = 1.0

    def __post_init__(self) -> None:
        between("rank_correlation", self.rank_correlation, -1.0, 1.0)
        positive("output_scale", self.output_scale)

    def blocks(self, streams: Streams) -> Iterator[tuple[Tokens, Tokens]]:
        """Input and output lengths, without end."""
        input_rng, output_rng = streams.generator(INPUT_STREAM), streams.generator(OUTPUT_STREAM)
        while True:
            input_u, output_u = input_rng.random(BLOCK), output_rng.random(BLOCK)
            if self.rank_correlation:
                output_u = correlated(input_u, output_u, self.rank_correlation)
            yield self.input_law.quantile(input_u), _scaled(self.output_law.quantile(output_u), self.output_scale)

    @property
    def mean_input_tokens(self) -> float:
        """Mean of the input law."""
        return self.input_law.mean_tokens

    @property
    def mean_output_tokens(self) -> float:
        """Mean of the output law times the scale."""
        return self.output_law.mean_tokens * self.output_scale


@dataclass(frozen=True, slots=True)
class TraceLengths(LengthSource):
    """The lengths of a trace in its order.

    Parameters
    ----------
    trace : where they come from.
    repeat : start again after the last one, for a closed loop that needs more requests than the trace has.
    output_scale : factor on each output.

    Raises
    ------
    ScenarioError : scale not positive.
    """

    trace: Trace
    repeat: bool = False
    output_scale: float = 1.0

    def __post_init__(self) -> None:
        positive("output_scale", self.output_scale)

    def blocks(self, streams: Streams) -> Iterator[tuple[Tokens, Tokens]]:  # noqa: ARG002  draws nothing
        """Input and output lengths, ending with the trace unless it repeats."""
        while True:
            for start in range(0, len(self.trace), BLOCK):
                rows = slice(start, start + BLOCK)
                yield self.trace.input_tokens[rows], _scaled(self.trace.output_tokens[rows], self.output_scale)
            if not self.repeat:
                return

    @property
    def mean_input_tokens(self) -> float:
        """Mean over the trace."""
        return float(self.trace.input_tokens.mean())

    @property
    def mean_output_tokens(self) -> float:
        """Mean over the trace times the scale."""
        return float(self.trace.output_tokens.mean()) * self.output_scale


def _scaled(tokens: Tokens, scale: float) -> Tokens:
    return tokens if scale == 1 else whole(tokens.astype(np.float64) * scale)


def correlated(first: Floats, second: Floats, rank_correlation: float) -> Floats:
    """Uniforms tied to `first` by a Gaussian copula; `second` supplies what is new."""
    from scipy.special import ndtr, ndtri

    tiny = np.finfo(np.float64).tiny
    r = 2 * math.sin(math.pi * rank_correlation / 6)
    a, b = ndtri(np.maximum(first, tiny)), ndtri(np.maximum(second, tiny))
    u: Floats = ndtr(r * a + math.sqrt(max(0.0, 1 - r * r)) * b)
    return np.minimum(u, np.nextafter(1.0, 0.0))
