"""Systems that the simulator was held against: those its constants were fitted on, and those it is compared with."""

from __future__ import annotations

from typing import Final

from sim.catalog.tables import table

TABLE: Final = "accuracy_targets"
FITTED: Final = "in the fit"
COMPARED: Final = "compared"


def was_compared(model: str, gpu: str, engine: str) -> bool:
    """Whether a served measurement of a system, in whatever layout, was in the fit or is compared with it."""
    groups = table(TABLE)
    families = (*groups[FITTED], *groups[COMPARED])
    return any(family.startswith(f"{model}/{gpu}/{engine}/") for family in families)
