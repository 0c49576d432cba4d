"""Clusters of `tests.engine_cases` in rational arithmetic, where a tie is a tie.

In floats a sum of steps is not rounded as the closed form of a span. Where a caller of a closed loop meets the boundary
of another replica at the same instant, the last bit then says who came first, and two runs part that are both right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from math import isfinite
from typing import Any

from sim.engine.cluster import Cluster, Load, Outcome
from sim.streams import Streams
from tests.engine_cases import Case


class Exact(Fraction):
    """A fraction that stays one beside a float: zero delays and empty sums of the engine are floats."""


def _beside_floats(name: str) -> Callable[[Exact, Any], Any]:
    operation = getattr(Fraction, name)

    def exact(self: Exact, other: Any) -> Any:
        if isinstance(other, float):
            if not isfinite(other):
                return getattr(float(self), name)(other)
            other = Fraction(other)
        result = operation(self, other)
        return Exact(result) if isinstance(result, Fraction) else result

    return exact


for _name in ("add", "sub", "mul", "truediv", "mod"):
    for _side in ("", "r"):
        setattr(Exact, f"__{_side}{_name}__", _beside_floats(f"__{_side}{_name}__"))
Exact.__neg__ = lambda self: Exact(-Fraction(self))  # type: ignore[method-assign]


def exactly(value: Any) -> Any:
    """The same plan, law or number with the decimal fraction that every float is written as."""
    if isinstance(value, float):
        return Exact(repr(value)) if isfinite(value) else value
    if isinstance(value, tuple):
        return tuple(map(exactly, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: exactly(getattr(value, field.name)) for field in fields(value)})
    return value


def run_exactly(case: Case, *, coalesce: bool) -> Outcome:
    """Run a case in fractions.

    Raises
    ------
    AssertionError : a float has come among the times of requests, so the run was not exact.
    """
    plan = replace(exactly(case.plan), coalesce=coalesce, record_requests=True)
    draws = (draw._replace(arrival_s=exactly(draw.arrival_s)) for draw in case.draws())
    outcome = Cluster(plan, exactly(case.law), Load(draws, case.concurrency), Streams(case.seed)).run()
    assert outcome.record.rows is not None
    assert not any(isinstance(time, float) for row in outcome.record.rows for time in (row[0], row[3])), "floats"
    return outcome
