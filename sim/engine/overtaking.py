"""When another batch of a lockstep step becomes the slowest."""

from __future__ import annotations

from collections.abc import Iterable

from sim.engine.lane import Lane


def until_overtaken(lanes: Iterable[Lane], step: int, steps: int, slowest_s: float, slope_s: float) -> int:
    """Steps until another lane becomes the slowest, at most `steps`, at least 1.

    Parameters
    ----------
    slowest_s, slope_s : what the slowest lane takes in step `step`, and how much more in each further step.
    """
    for lane in lanes:
        steeper = lane.slope_s - slope_s
        if steeper > 0.0:
            behind = slowest_s - lane.first_s - (step - lane.step) * lane.slope_s
            if behind < steps * steeper:
                steps = max(1, int(behind / steeper) + 1)
    return steps
