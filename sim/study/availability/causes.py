"""What takes capacity from a fleet, cause by cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.faults.fleet_plan import FleetPlan
from sim.faults.tally import State, Tally
from sim.faults.timeline import SITE
from sim.stats.estimate import Estimate
from sim.stats.mean import mean_interval
from sim.units import HOUR_S, YEAR_S

FAULT, PLANNED, OUTAGE = "fault", "planned", "site"


@dataclass(frozen=True, slots=True)
class CauseLine:
    """One cause, per year of the whole fleet.

    Attributes
    ----------
    cause : fault class, planned work, or `site`.
    kind : `fault`, `planned` or `site`.
    events, hits : events, and those that took a replica out, wholly or in part.
    down_h : replica-hours without service that it began.
    pause_h, slow_h : replica-hours of pauses, and of steps longer than designed.
    """

    cause: str
    kind: str
    events: Estimate
    hits: Estimate
    down_h: Estimate
    pause_h: Estimate
    slow_h: Estimate


def cause_lines(plan: FleetPlan, tallies: Sequence[Tally]) -> tuple[CauseLine, ...]:
    """Every cause that the plan has, most replica-hours first; one that never came has zeros."""
    kinds = [(kind.name, FAULT) for kind in (*plan.node_classes, *plan.replica_classes) if kind.rate_per_s > 0.0]
    kinds += [(operation.name, PLANNED) for operation in plan.operations]
    if plan.common.site_per_s > 0.0:
        kinds.append((SITE, OUTAGE))
    if plan.recovery.warm_s > 0.0:
        kinds.append(("warming", FAULT))
    lines = [_line(cause, kind, tallies) for cause, kind in kinds]
    return tuple(sorted(lines, key=lambda line: -(line.down_h.value or 0.0)))


def _line(cause: str, kind: str, tallies: Sequence[Tally]) -> CauseLine:
    def per_year(values: list[float]) -> Estimate:
        return mean_interval([v * YEAR_S / tally.horizon_s for v, tally in zip(values, tallies, strict=True)])

    def hours(values: list[float]) -> Estimate:
        return per_year([value / HOUR_S for value in values])

    return CauseLine(
        cause,
        kind,
        events=per_year([float(_events(cause, kind, tally)) for tally in tallies]),
        hits=per_year([float(_hits(cause, kind, tally)) for tally in tallies]),
        down_h=hours([tally.cause_s.get(cause, 0.0) for tally in tallies]),
        pause_h=hours([tally.pause_s.get(cause, 0.0) for tally in tallies]),
        slow_h=hours([tally.slow_s.get(cause, 0.0) for tally in tallies]),
    )


def _events(cause: str, kind: str, tally: Tally) -> int:
    if kind == OUTAGE:
        return tally.site_outages
    return tally.planned[cause] if kind == PLANNED else tally.faults[cause]


def _hits(cause: str, kind: str, tally: Tally) -> int:
    return tally.replica_faults[cause] if kind == FAULT else _events(cause, kind, tally)


def state_hours(tallies: Sequence[Tally]) -> dict[State, Estimate]:
    """Replica-hours per year in each state."""
    return {
        state: mean_interval([tally.state_s[state] / HOUR_S * YEAR_S / tally.horizon_s for tally in tallies])
        for state in State
    }
