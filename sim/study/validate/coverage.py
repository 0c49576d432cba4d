"""How many measured points lie inside the model interval of their prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sim.simulation.model_draw import model_draw
from sim.streams import Streams
from sim.study.validate.error import METRICS, Comparison
from sim.study.validate.predict import SEED, Predicted, predict
from sim.study.validate.system import System
from sim.study.workers import Progress

TAIL: Final = 0.1
DRAWS: Final = 9  # the fewest whose least and greatest hold a further draw with 80 %
ALL: Final = ("all families together",)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Share of the points of a family that lie inside their 80 % model interval.

    Attributes
    ----------
    family : `ALL` for all points, each weighing the same.
    width_frac : median width of the interval over the prediction.
    """

    family: tuple[str, ...]
    metric: str
    points: int
    inside_frac: float
    width_frac: float


def predict_draw(task: tuple[System, int], progress: Progress) -> Predicted:
    """The prediction of a point under one draw of the model."""
    system, index = task
    drawn = model_draw(system.scenario, Streams(SEED, index))
    found = predict(replace(system, scenario=drawn.scenario), draw=drawn.kernels)
    progress(1.0)
    factor = drawn.first_token_factor
    return {name: value * factor if name.startswith("ttft_") else value for name, value in found.items()}


def coverage(comparisons: Sequence[Comparison], drawn: Mapping[str, Sequence[Predicted]]) -> Iterator[Coverage]:
    """Coverage of each family and metric, then that of all points together."""
    families: list[tuple[str, ...]] = [*sorted({entry.family for entry in comparisons}), ALL]
    for family in families:
        for metric in METRICS:
            own = [item for item in comparisons if item.metric == metric and family in (item.family, ALL)]
            if not own:
                continue
            ends = [_ends([one[item.column] for one in drawn[item.point]]) for item in own]
            inside = [low <= item.measured <= high for item, (low, high) in zip(own, ends, strict=True)]
            widths = sorted((high - low) / item.predicted for item, (low, high) in zip(own, ends, strict=True))
            yield Coverage(family, metric, len(own), sum(inside) / len(own), widths[len(widths) // 2])


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Central 80 % of the draws, at quantiles (n + 1) p."""
    ordered = sorted(values)
    place = max(1, round(TAIL * (len(ordered) + 1)))
    return ordered[place - 1], ordered[-place]
