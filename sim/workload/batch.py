"""Piles of jobs: each with a release, a due time, and a size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from sim.errors import ScenarioError
from sim.streams import Streams
from sim.workload.checks import at_least_one, not_negative, positive
from sim.workload.lengths.law import Tokens
from sim.workload.lengths.lengths import LengthSource
from sim.workload.request import RequestDraw
from sim.workload.runs import Runs
from sim.workload.sessions.identities import root_first_id

SPREAD_STREAM = "batch.spread"


@dataclass(frozen=True, slots=True)
class Pile:
    """One pile.

    Attributes
    ----------
    release_s, due_s : when its jobs may begin, and when they must be complete.
    jobs : how many.
    """

    release_s: float
    due_s: float
    jobs: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Piles of jobs, one or one at each interval; their lengths are drawn in order, pile after pile.

    Parameters
    ----------
    requests, tokens : size of each pile: so many jobs, or jobs until their prompts and outputs reach so many tokens.
    release_s : of the first pile.
    deadline_s : from the release of a pile to its due time.
    every_s : interval of the releases; None for a single pile.
    spread_s : the jobs of a pile are released at uniform random times of so long a span (stream `batch.spread`).
    max_in_flight : the client keeps at most so many in flight; None for no limit.
    root_tokens : leading tokens that all jobs share.

    Raises
    ------
    ScenarioError : a value out of range, or not exactly one of requests and tokens.
    """

    requests: int | None
    tokens: int | None
    release_s: float
    deadline_s: float
    every_s: float | None = None
    spread_s: float = 0.0
    max_in_flight: int | None = None
    root_tokens: int = 0

    def __post_init__(self) -> None:
        if (self.requests is None) == (self.tokens is None):
            raise ScenarioError("needs either requests or tokens, the size of a pile", key="requests")
        at_least_one("requests" if self.tokens is None else "tokens", self.requests or self.tokens or 0)
        not_negative("release_s", self.release_s)
        positive("deadline_s", self.deadline_s)
        not_negative("spread_s", self.spread_s)
        not_negative("root_tokens", self.root_tokens)
        if self.every_s is not None:
            positive("every_s", self.every_s)
        if self.max_in_flight is not None:
            at_least_one("max_in_flight", self.max_in_flight)

    def releases_s(self) -> Iterator[float]:
        """When piles are released; without end where they repeat."""
        if self.every_s is None:
            return iter((self.release_s,))
        every_s = self.every_s
        return (self.release_s + number * every_s for number in count())

    def piles(self, lengths: LengthSource, streams: Streams, horizon_s: float) -> tuple[Pile, ...]:
        """The piles released before the horizon, with the number of jobs of each.

        Parameters
        ----------
        lengths, streams : those of the jobs, which decide how many make up a number of tokens.
        """
        found: list[Pile] = []
        sizes = (len(inputs) for inputs, _ in self._lengths(lengths, streams)) if self.requests is None else None
        for release_s in self.releases_s():
            if release_s >= horizon_s:
                break
            jobs = self.requests if sizes is None else next(sizes, 0)
            found.append(Pile(release_s, release_s + self.deadline_s, jobs or 0))
        return tuple(found)

    def jobs(self, lengths: LengthSource, streams: Streams) -> Iterator[RequestDraw]:
        """The jobs in order of release, pile after pile; a pile that lasts into the next one goes first."""
        spread = streams.generator(SPREAD_STREAM)
        earliest_s = 0.0
        for release_s, (inputs, outputs) in zip(self.releases_s(), self._lengths(lengths, streams), strict=False):
            due_s, number = release_s + self.deadline_s, len(inputs)
            at_s = np.full(number, release_s)
            if self.spread_s:
                at_s = release_s + np.sort(spread.random(number)) * self.spread_s
            at_s = np.maximum(at_s, earliest_s)
            if number:
                earliest_s = float(at_s[-1])
            for arrival_s, input_tokens, output_tokens in zip(
                at_s.tolist(), inputs.tolist(), outputs.tolist(), strict=True
            ):
                yield RequestDraw(
                    arrival_s, input_tokens, output_tokens, None, self._root(input_tokens), None, 0, 0, due_s
                )

    def _root(self, input_tokens: int) -> Runs | None:
        return ((root_first_id(0), min(self.root_tokens, input_tokens)),) if self.root_tokens else None

    def _lengths(self, lengths: LengthSource, streams: Streams) -> Iterator[tuple[Tokens, Tokens]]:
        """Prompt and output lengths of one pile after the other."""
        blocks = lengths.blocks(streams)
        inputs = outputs = np.empty(0, dtype=np.int64)
        while True:
            parts: list[tuple[Tokens, Tokens]] = []
            jobs, tokens = 0, 0
            while True:
                if not len(inputs):
                    block = next(blocks, None)
                    if block is None:
                        break
                    inputs, outputs = block
                taken = self._taken(inputs + outputs, jobs, tokens)
                parts.append((inputs[:taken], outputs[:taken]))
                jobs += taken
                tokens += int((inputs[:taken] + outputs[:taken]).sum())
                inputs, outputs = inputs[taken:], outputs[taken:]
                if jobs >= (self.requests or math.inf) or tokens >= (self.tokens or math.inf):
                    break
            if not parts:
                return
            yield np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _taken(self, each_tokens: Tokens, jobs: int, tokens: int) -> int:
        """How many of the next jobs belong to the pile that has some already."""
        if self.requests is not None:
            return min(len(each_tokens), self.requests - jobs)
        assert self.tokens is not None, "the constructor asks for one of the two"
        reached = int(np.searchsorted(tokens + np.cumsum(each_tokens), self.tokens, side="left"))
        return min(len(each_tokens), reached + 1)
