"""What happens to nodes and engines over months: fault classes, repair, spares, common causes, elasticity."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.scenario.section import Count, CountOrZero, Fraction, Seconds, SecondsOrZero, Section

Rate = Annotated[float, Field(strict=True, ge=0.0, le=1e9)]
"""Events per unit of exposure, possibly none."""

Hours = Annotated[float, Field(strict=True, ge=0.0, le=1e6)]
"""A duration in hours, possibly zero."""

Days = Annotated[float, Field(strict=True, gt=0.0, le=1e6)]
"""A duration in days."""

Pace = Annotated[float, Field(strict=True, ge=1.0, le=1000.0)]
"""Step time over that of design."""


class FaultClassSection(Section):
    """One class of node faults; what is left out comes from the catalog (`sim catalog reliability`, `fault_...`)."""

    rate_per_1000_node_days: Rate | None = None
    """How often."""
    repair_mean_h: Hours | None = None
    """Time that the node is away after detection, in the mean; no effect where the node stays."""
    repair_sigma: Annotated[float, Field(strict=True, ge=0.0, le=5.0)] | None = None
    """Standard deviation of its logarithm (lognormal); 0 for exponential."""
    hang_frac: Fraction | None = None
    """Share that is seen only after `detect_hang_s`."""
    hands_on_h: Hours | None = None
    """Work of a person per event."""


class EarlyFaultsSection(Section):
    """Infant mortality: a node of age t fails 1 + amplitude x exp(-t / decay) times as often."""

    amplitude: Annotated[float, Field(strict=True, ge=0.0, le=1000.0)] | None = None
    """How many times more often a new node fails, on top of the usual rate."""
    decay_days: Days | None = None
    """Time in which that falls to 1/e."""


class LemonsSection(Section):
    """Nodes that fail too often are replaced for good."""

    faults: Count | None = None
    """A node that leaves so often..."""
    window_days: Days | None = None
    """...within so many days is replaced."""
    replace_days: Days | None = None
    """Until the node in its place is there."""


class PartsSection(Section):
    """A stock of parts for the faults that need one; each part used is ordered anew."""

    stock: CountOrZero
    """Parts on the shelf."""
    lead_days: Days | None = None
    """From order to delivery."""


class RentSection(Section):
    """Renting a node while a replica waits for one of its own."""

    success_frac: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] | None = None
    """Chance that an attempt finds one; another attempt follows while the replica waits."""
    delay_s: SecondsOrZero | None = None
    """Time that each attempt takes."""


class SparesSection(Section):
    """How the nodes of `deployment.spare_nodes` stand by, and whether others can be rented."""

    powered: bool = True
    """Hot spares: powered, so that they fail like nodes in service, and at hand at once. Else cold."""
    start_s: SecondsOrZero | None = None
    """Until a cold spare is ready; without it, the catalog's. No effect on hot ones."""
    rent: RentSection | None = None
    """Rent a node where no spare is at hand."""


class SiteSection(Section):
    """Outages of the whole site."""

    outages_per_year: Rate | None = None
    """How often."""
    outage_h: Hours | None = None
    """How long, in the mean (exponential)."""


class CommonCauseSection(Section):
    """Causes that take several nodes at once: shocks of a rack or power domain, outages of the site."""

    share_frac: Fraction | None = None
    """Share of the node faults that come as shocks (beta factor): single faults are so much rarer."""
    rack_nodes: Count | None = None
    """Nodes of a rack or power domain, in order of their numbers."""
    shock_nodes: Count | None = None
    """Nodes that a shock takes, or all of the rack where it has fewer."""
    site: SiteSection = SiteSection()
    """Outages of the whole site."""


class ElasticSection(Section):
    """Elastic expert parallelism: a replica goes on without the attention ranks that a fault took."""

    max_failed_ranks: Count | None = None
    """More lost at once, and the replica is down; without it, as many as `layout.redundant_experts` make up for."""
    pause_fail_s: SecondsOrZero | None = None
    """No steps while experts are taken over."""
    pause_rejoin_s: SecondsOrZero | None = None
    """No steps while ranks return."""
    overhead_frac: Fraction | None = None
    """What every step takes longer for it, always."""


class WarmingSection(Section):
    """Slow first requests after a restart, beside `restart.warm_up_s`, which ends before traffic comes."""

    duration_s: Seconds
    """How long."""
    pace: Pace
    """Step time over that of design meanwhile."""
