"""What one option of the command line did to throughput: ratios between points that differ in nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import Final

from sim.study.validate.check import Check
from sim.study.validate.error import THROUGHPUT, Comparison
from sim.study.validate.point import COLUMNS, MeasuredPoint

GROUP: Final = "one option changed: throughput over that before"
TARGET_FRAC: Final = 0.2
SAME: Final = (*(column for column in COLUMNS if column != "id"), "version")
Options = frozenset[tuple[str, str]]


def option_checks(points: Sequence[MeasuredPoint], comparisons: Sequence[Comparison]) -> Iterator[Check]:
    """Ratios of throughput between neighbours in the value of one option, all else alike.

    A point without the option comes first, then its values from low to high. Points that repeat one setting stand in a
    ratio each, so that their scatter shows.
    """
    found = {entry.point: entry for entry in comparisons if entry.metric == THROUGHPUT}
    alike: dict[tuple[str, ...], list[MeasuredPoint]] = {}
    for point in points:
        if point.flags and point.name in found:
            alike.setdefault(tuple(_cell(point, column) for column in SAME), []).append(point)
    for group in alike.values():
        for option in sorted({name for point in group for name in point.flags}):
            for before, after in _neighbours(group, option):
                base, moved = found[before.name], found[after.name]
                if base.column == moved.column:
                    ratios = moved.measured / base.measured, moved.predicted / base.predicted
                    yield Check(GROUP, _name(option, before, after), *ratios, TARGET_FRAC)


def _neighbours(group: Sequence[MeasuredPoint], option: str) -> Iterator[tuple[MeasuredPoint, MeasuredPoint]]:
    rest: dict[Options, dict[str | None, list[MeasuredPoint]]] = {}
    for point in group:
        others = frozenset((name, value) for name, value in point.flags.items() if name != option)
        rest.setdefault(others, {}).setdefault(point.flags.get(option), []).append(point)
    for values in rest.values():
        for low, high in pairwise(sorted(values, key=_rank)):
            yield from product(values[low], values[high])


def _rank(value: str | None) -> tuple[int, float, str]:
    """Without the option, then numbers by size, then words."""
    if value is None:
        return 0, 0.0, ""
    try:
        return 1, float(value), ""
    except ValueError:
        return 2, 0.0, value


def _cell(point: MeasuredPoint, column: str) -> str:
    return str(point.numbers[column]) if column in point.numbers else point.words.get(column, "")


def _name(option: str, before: MeasuredPoint, after: MeasuredPoint) -> str:
    was, now = (_said(point.flags, option) for point in (before, after))
    return f"{option} {was} to {now} ({before.name} to {after.name.rsplit('-', 1)[-1]})"


def _said(flags: Mapping[str, str], option: str) -> str:
    return flags[option] or "set" if option in flags else "unset"
