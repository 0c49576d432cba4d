"""Paths to a service that take over from each other."""

from __future__ import annotations

from math import prod

from sim.oracle.checks import positive


def cycle_availability(start_to_start_h: float, duration_h: float) -> float:
    """Share of time without an incident, from the mean time between the starts of two and their mean duration.

    Sources
    -------
    Renewal reward, any laws, as long as incidents do not overlap. Checked: 11.24 d and 2.66 h: 0.9901393832.
    """
    positive(start_to_start_h=start_to_start_h, duration_h=duration_h)
    return 1.0 - duration_h / start_to_start_h


def any_up_frac(*availabilities: float) -> float:
    """Chance that at least one of several independent paths is up, with failover at once.

    Sources
    -------
    Checked: 0.9982 and 0.9992: 0.99999856.
    """
    return 1.0 - prod(1.0 - availability for availability in availabilities)


def detection_unavailability(detect_s: float, outage_every_s: float) -> float:
    """Share of time lost to noticing outages that are longer than `detect_s`, the other path always being up.

    Sources
    -------
    Checked: 60 s every 5.55 d: 1.251251251e-4.
    """
    positive(detect_s=detect_s, outage_every_s=outage_every_s)
    return detect_s / outage_every_s


def failover_availability(first: float, second: float, undetected: float) -> float:
    """Availability of a path with an independent one behind it that takes over once an outage is noticed.

    Parameters
    ----------
    first, second : availability of each.
    undetected : share of all time in which the first is down and nobody has noticed: rate of outages times the mean of
        min(duration, detection delay).

    Sources
    -------
    1 - undetected - (u1 - undetected) u2. With `undetected` zero it is `any_up_frac`.
    """
    down = 1.0 - first
    if not 0.0 <= undetected <= down + 1e-15:
        raise ValueError(f"undetected must be between 0 and {down}, is {undetected!r}")
    return 1.0 - undetected - (down - undetected) * (1.0 - second)
