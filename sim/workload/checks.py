"""Argument checks shared by the workload's building blocks."""

from __future__ import annotations

import math

from sim.errors import ScenarioError


def positive(name: str, value: float) -> None:
    """Refuse a value that is not a finite number above zero.

    Raises
    ------
    ScenarioError : naming the argument, its value and the valid range.
    """
    if not (math.isfinite(value) and value > 0):
        raise ScenarioError("must be a positive number", key=name, value=value, valid="> 0")


def not_negative(name: str, value: float) -> None:
    """Refuse a value that is not a finite number of zero or more.

    Raises
    ------
    ScenarioError : naming the argument, its value and the valid range.
    """
    if not (math.isfinite(value) and value >= 0):
        raise ScenarioError("must not be negative", key=name, value=value, valid=">= 0")


def between(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high].

    Raises
    ------
    ScenarioError : naming the argument, its value and the valid range.
    """
    if not low <= value <= high:
        raise ScenarioError("is out of range", key=name, value=value, valid=f"{low:g} to {high:g}")


def at_least_one(name: str, value: int) -> None:
    """Refuse a count or a token length below one.

    Raises
    ------
    ScenarioError : naming the argument, its value and the valid range.
    """
    if not (math.isfinite(value) and value >= 1):
        raise ScenarioError("must be at least 1", key=name, value=value, valid=">= 1")
