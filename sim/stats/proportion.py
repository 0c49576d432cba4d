"""Chance of an event from how often it happened."""

from __future__ import annotations

from scipy.special import betaincinv

from sim.stats.estimate import CONFIDENCE, Estimate


def proportion_interval(events: int, trials: int, confidence: float = CONFIDENCE) -> Estimate:
    """Share of independent trials with the event, with an interval that holds for none and for all as well.

    Raises
    ------
    ValueError : no trials, or more events than trials.

    Sources
    -------
    Clopper and Pearson (1934), Biometrika 26. Checked: 0 of 30: 0 to 0.1157; 5 of 10: 0.1871 to 0.8129.
    """
    if not 0 <= events <= trials or trials == 0:
        raise ValueError(f"{events} events do not fit {trials} trials")
    tail = (1.0 - confidence) / 2.0
    low = float(betaincinv(events, trials - events + 1, tail)) if events > 0 else 0.0
    high = float(betaincinv(events + 1, trials - events, 1.0 - tail)) if events < trials else 1.0
    return Estimate(events / trials, low, high)
