"""One run of a load generator against a served system, whatever wrote it down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sim.errors import SimError

T = TypeVar("T")
INPUT, OUTPUT = "input_tokens", "output_tokens"
SYSTEM_TPUT = "output_throughput"
"""Output tokens per second of the whole system; other names of `BenchRun.measured` are columns of `sim validate`."""


class UnusableRunError(SimError):
    """A run that no scenario stands for, with the reason."""


@dataclass(frozen=True, slots=True)
class BenchRun:
    """What was sent, and what was measured.

    Attributes
    ----------
    name : file, and row or record in it where it holds several.
    concurrency : callers of a closed loop that begins with all of them at once; None in an open loop.
    rate_rps, burstiness : requests per second of an open loop, and the shape of its Gamma gaps; 1 is Poisson.
    requests : how many completed.
    laws : of `input_tokens` and `output_tokens`, as a scenario states them.
    each : the lengths of every request, in order, where the file has them.
    starts_s : when each was sent, where the file says so; with `each` only.
    measured : figures by name, milliseconds and tokens per second.
    stated : what the file says of the system: `gpus`, `hardware`, `engine`, `precision`; only what it does say.
    notes : what had to be derived or left open.
    """

    name: str
    concurrency: int | None
    rate_rps: float | None
    requests: int
    laws: Mapping[str, dict[str, Any]]
    measured: Mapping[str, float]
    burstiness: float = 1.0
    each: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    starts_s: tuple[float, ...] = ()
    stated: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def load(self) -> float:
        """Callers, or requests per second: what runs are put in order by."""
        return float(self.concurrency if self.concurrency is not None else self.rate_rps or 0.0)


Read = tuple[list[BenchRun], list[tuple[str, str]]]
"""Runs of a file, and (name, reason) of those that no scenario stands for."""


def collected(file: str, records: Sequence[T], run: Callable[[T, str], BenchRun]) -> Read:
    """The runs of all records of a file; where it has several, each is named by its place."""
    runs, left_out = [], []
    for place, record in enumerate(records, start=1):
        name = f"{file}:{place}" if len(records) > 1 else file
        try:
            runs.append(run(record, name))
        except UnusableRunError as error:
            left_out.append((name, str(error)))
    return runs, left_out


def constant(tokens: float) -> dict[str, Any]:
    """Every request the same, for a file that states a mean alone."""
    return {"law": "constant", "tokens": max(1, round(tokens))}


def uniform(least: float, most: float) -> dict[str, Any]:
    """Between two bounds."""
    low, high = max(1, round(least)), max(1, round(most))
    return constant(low) if low == high else {"law": "uniform", "min_tokens": low, "max_tokens": high}


def empirical(each: tuple[int, ...]) -> dict[str, Any]:
    """As often as each length came."""
    values = sorted(set(each))
    if len(values) == 1:
        return constant(values[0])
    counts = dict.fromkeys(values, 0.0)
    for value in each:
        counts[value] += 1.0
    return {"law": "empirical", "tokens": tuple(values), "weights": tuple(counts.values())}


def positive(figures: Mapping[str, float | None]) -> dict[str, float]:
    """Figures that are there and above zero."""
    return {name: float(value) for name, value in figures.items() if value is not None and value > 0.0}
