"""Closed forms for a span of steps whose duration grows linearly.

Step i of a span (i = 0, 1, ...) lasts `first_s + i * slope_s`.
"""

from __future__ import annotations

from math import ceil, sqrt


def span_seconds(steps: int, first_s: float, slope_s: float) -> float:
    """Duration of `steps` steps; checked against a plain sum to 1e-12 relative."""
    return steps * first_s + slope_s * (steps * (steps - 1) // 2)


def steps_until(elapsed_s: float, first_s: float, slope_s: float) -> int:
    """Smallest n >= 1 with `span_seconds(n) >= elapsed_s`: the boundary at which an arrival takes effect.

    The quadratic is solved in floats and then corrected by whole steps, so the answer is exact.
    """
    if slope_s > 0.0:
        half = 0.5 * slope_s
        linear = first_s - half
        n = max(1, ceil((sqrt(linear * linear + 4.0 * half * elapsed_s) - linear) / slope_s))
    else:
        n = max(1, ceil(elapsed_s / first_s))
    while n > 1 and span_seconds(n - 1, first_s, slope_s) >= elapsed_s:
        n -= 1
    while span_seconds(n, first_s, slope_s) < elapsed_s:
        n += 1
    return n


def ramp_seconds(steps: int, first_s: float, slope_s: float) -> float:
    """Sum of i times the duration of step i: what a level that grows by one per step adds to its time integral."""
    pairs = steps * (steps - 1) // 2
    return pairs * first_s + (pairs * (2 * steps - 1) // 3) * slope_s
