"""Four utilisations that are often mixed up, kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from sim.errors import ScenarioError


@dataclass(frozen=True, slots=True)
class Utilisations:
    """One service seen four ways. None means not known, and `reasons` says why.

    Attributes
    ----------
    sm_active_frac : share of the GPUs' processors at work, as a GPU monitor shows it.
    occupied_time_frac : share of the time with at least one request in service.
    delivered_frac : delivered tokens over what the same fleet can deliver within the service level for the same mix:
        the economic one.
    reserved_frac : capacity reserved for the load over capacity paid for.
    reasons : field name to why it is None.

    Raises
    ------
    ScenarioError : a share outside 0 to 1, a None without a reason, or a reason for something that is known.
    """

    sm_active_frac: float | None
    occupied_time_frac: float | None
    delivered_frac: float | None
    reserved_frac: float | None
    reasons: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        names = [item.name for item in fields(self) if item.name != "reasons"]
        for name in names:
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ScenarioError("out of range", key=name, value=share, valid="0 to 1")
        unknown = {name for name in names if getattr(self, name) is None}
        given = {name for name, reason in self.reasons.items() if reason}
        if unknown != given:
            raise ScenarioError(
                "each utilisation that is not known needs a reason, and only those",
                key=", ".join(sorted(unknown ^ given)),
            )


def average_utilisation(peak_frac: float, peak_to_mean: float) -> float:
    """Mean utilisation of capacity that is sized to `peak_frac` at the peak of a load.

    Raises
    ------
    ScenarioError : a parameter is out of range.

    Checked: 0.40 for a target of 80 % at a peak of twice the mean.
    """
    if not 0 < peak_frac <= 1:
        raise ScenarioError("out of range", key="peak_frac", value=peak_frac, valid="above 0, at most 1")
    if not peak_to_mean >= 1:
        raise ScenarioError("out of range", key="peak_to_mean", value=peak_to_mean, valid="at least 1")
    return peak_frac / peak_to_mean
