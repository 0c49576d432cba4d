"""A closed form with the simulation that must reproduce it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sim.streams import Streams
from sim.study.verify.check import Expectation
from sim.study.workers import Progress


class Setup(Protocol):
    """Something that can be simulated once; picklable."""

    def replication(self, streams: Streams, progress: Progress | None = None) -> dict[str, float]:
        """The figures of one replication, each with the expected value that theory gives."""


@dataclass(frozen=True, slots=True)
class Case:
    """One family of checks.

    Attributes
    ----------
    name : the closed form, as `M/M/1`.
    setup : what is simulated.
    expectations : what theory says.
    replications : fixed number where noise plays no part; None for as many as are asked for.
    """

    name: str
    setup: Setup
    expectations: tuple[Expectation, ...]
    replications: int | None = None
