"""An API provider as a system with failures."""

from __future__ import annotations

from dataclasses import dataclass

from sim.faults.outages import Outages
from sim.faults.provider_incidents import IncidentLaw
from sim.faults.provider_policy import AccessRisk, Retirement
from sim.faults.shared_shock import SharedShock
from sim.streams import Streams


@dataclass(frozen=True, slots=True)
class Provider:
    """All that can take a provider's service away.

    Attributes
    ----------
    name : prefix of its random streams, so that two providers differ and one is the same in every comparison.
    incidents : short outages; None without.
    risks : rare, long losses of access.
    retirement : end of life of models.
    shock : outages shared with others.
    """

    name: str
    incidents: IncidentLaw | None = None
    risks: tuple[AccessRisk, ...] = ()
    retirement: Retirement | None = None
    shock: SharedShock | None = None

    def outages(self, horizon_h: float, streams: Streams) -> list[Outages]:
        """One list per cause, the longest first, so that a loss is booked on what lasts."""
        found = [risk.draw(horizon_h, streams, self.name) for risk in self.risks]
        if self.retirement is not None:
            moments_h = self.retirement.draw_h(horizon_h, streams, self.name)
            found.append(self.retirement.outages(moments_h))
        if self.shock is not None:
            found.append(self.shock.draw(horizon_h, streams, self.name))
        if self.incidents is not None:
            found.append(self.incidents.draw(horizon_h, streams, self.name))
        return found
