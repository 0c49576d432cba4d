"""What accuracy is aimed at, by family and metric, and where validation stands against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sim.catalog.tables import table
from sim.study.validate.error import Comparison, Summary, by_family
from sim.study.validate.known import FITTED, TABLE

FACTOR_2: Final = "within factor 2"
POOLS: Final = "disaggregated"
BIAS_SHARE: Final = 0.5  # of the target, within which the signed median shall lie


@dataclass(frozen=True, slots=True)
class Standing:
    """One metric of one family against its target.

    Attributes
    ----------
    group : fitted, other or pools: which targets hold for the family.
    target_frac : largest median absolute error, or least share of points within a factor of two.
    reached_frac : the error, or the share, that was found.
    met : whether the target is.
    unbiased : whether the signed median error is within half of the target; true where the target is a share.
    """

    family: tuple[str, ...]
    metric: str
    points: int
    group: str
    target_frac: float
    reached_frac: float
    met: bool
    unbiased: bool

    @property
    def is_share(self) -> bool:
        """Whether the target is a share of points within a factor of two."""
        return self.metric in table(TABLE)[FACTOR_2]


def group_of(family: Sequence[str]) -> str:
    """Which targets hold for a family: those of pools, of families that the fit has seen, or of others."""
    if family[-1] == POOLS:
        return "pools"
    return "fitted" if "/".join(family) in table(TABLE)[FITTED] else "other"


def standings(comparisons: Sequence[Comparison]) -> list[Standing]:
    """Every family and metric against its target, in order of families."""
    return [_standing(summary) for summary in by_family(comparisons)]


def _standing(summary: Summary) -> Standing:
    targets, group = table(TABLE), group_of(summary.family)
    if summary.metric in targets[FACTOR_2]:
        target = float(targets[FACTOR_2][summary.metric].value)
        reached, met, unbiased = summary.within_2x_frac, summary.within_2x_frac >= target, True
    else:
        target = float(targets[group][summary.metric].value)
        reached, met = summary.median_abs_frac, summary.median_abs_frac <= target
        unbiased = abs(summary.median_frac) <= BIAS_SHARE * target
    return Standing(summary.family, summary.metric, summary.points, group, target, reached, met, unbiased)
