"""Argument checks shared by the closed forms."""

from __future__ import annotations

from math import isfinite


def positive(**arguments: float) -> None:
    """Refuse arguments that are not finite numbers above zero.

    Raises
    ------
    ValueError : names the argument and its value.
    """
    for name, value in arguments.items():
        if not (isfinite(value) and value > 0.0):
            raise ValueError(f"{name} must be a positive number, not {value!r}")


def stable(load: float) -> None:
    """Refuse a load at or above one: the queue has no stationary law.

    Raises
    ------
    ValueError : with the load.
    """
    if not load < 1.0:
        raise ValueError(f"the queue is unstable: load {load:.6g} is not below 1")
