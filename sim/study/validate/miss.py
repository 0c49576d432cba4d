"""Points that are off by more than is aimed at, in families that miss a target or lean, and what is known of why."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import StringIO
from typing import Final

from sim.catalog.tables import Fact, table
from sim.study.validate.error import Comparison
from sim.study.validate.target import Standing, standings

TABLE: Final = "misses"
UNEXPLAINED: Final = "not explained"
HEADER: Final = ("point", "family", "metric", "measured", "simulated", "error_frac", "target_frac", "cause")


@dataclass(frozen=True, slots=True)
class Miss:
    """One metric of one point.

    Attributes
    ----------
    target_frac : median absolute error that its family should have; for a share within a factor of two that share.
    cause : subject of the catalog's table `misses`, or `UNEXPLAINED`.
    """

    comparison: Comparison
    target_frac: float
    cause: str


def misses(comparisons: Sequence[Comparison]) -> list[Miss]:
    """Points beyond the target of their family, where the family misses it or leans; all of them, explained or not."""
    missed = {
        (entry.family, entry.metric): entry for entry in standings(comparisons) if not (entry.met and entry.unbiased)
    }
    found = []
    for entry in comparisons:
        standing = missed.get((entry.family, entry.metric))
        if standing is not None and _beyond(entry, standing):
            found.append(Miss(entry, standing.target_frac, _cause(entry)))
    return found


def _beyond(entry: Comparison, standing: Standing) -> bool:
    return not entry.within_2x if standing.is_share else abs(entry.error_frac) > standing.target_frac


def _cause(entry: Comparison) -> str:
    """The first cause that holds for family, point, metric and signed error."""
    for name, words in table(TABLE).items():
        places = fnmatchcase("/".join(entry.family), str(words["family"].value)) and any(
            fnmatchcase(entry.point, pattern) for pattern in str(words["points"].value).split("; ")
        )
        if places and entry.metric in words and _within(entry.error_frac, words[entry.metric]):
            return name
    return UNEXPLAINED


def _within(error_frac: float, fact: Fact) -> bool:
    return fact.low is not None and fact.high is not None and fact.low <= error_frac <= fact.high


def misses_text(found: Sequence[Miss]) -> str:
    """A CSV of every miss, with columns `HEADER`."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    for miss in found:
        entry = miss.comparison
        figures = [f"{value:.6g}" for value in (entry.measured, entry.predicted, entry.error_frac, miss.target_frac)]
        writer.writerow([entry.point, "/".join(entry.family), entry.metric, *figures, miss.cause])
    return stream.getvalue()
