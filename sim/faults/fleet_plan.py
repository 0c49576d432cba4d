"""A fleet of nodes and everything that may happen to it, resolved to plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.faults.fault_class import FaultClass
from sim.faults.operation import Operation
from sim.faults.phases import Phases, exponential

NEVER = float("inf")
AT_ONCE = exponential(0.0)


@dataclass(frozen=True, slots=True)
class Spares:
    """Nodes beside those in service.

    Attributes
    ----------
    count : how many.
    fail : whether idle ones fail like those in service (hot spares, powered), or not (cold).
    start_s : until a cold one is ready.
    rent_success, rent_delay_s : chance that an attempt to rent a node succeeds, and how long each takes; an attempt
        follows another while a replica waits. A chance of 0 means that none is rented.
    """

    count: int = 0
    fail: bool = True
    start_s: float = 0.0
    rent_success: float = 0.0
    rent_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Shop:
    """Repair.

    Attributes
    ----------
    crews : repairs that go on at once; None for as many as there are faults.
    parts : parts in stock; None for as many as are asked for. Each one used is ordered anew.
    part_lead_s : from order to delivery.
    requalify_s : tests of a node after repair.
    bad_repair, refail : chance that a node returns with the fault still in it, and how soon it shows.
    lemon_faults, lemon_window_s : a node that leaves so often within that time is replaced; 0 for never.
    replace_s : until the node in its place is there.
    """

    crews: int | None = None
    parts: int | None = None
    part_lead_s: float = 0.0
    requalify_s: float = 0.0
    bad_repair: float = 0.0
    refail: Phases = AT_ONCE
    lemon_faults: int = 0
    lemon_window_s: float = 0.0
    replace_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Common:
    """Causes that take several nodes at once.

    Attributes
    ----------
    rack_nodes : nodes of a rack or power domain, in order of their numbers.
    shock_per_s : shocks of one rack per second; a shock takes `shock_nodes` of its nodes, or all it has.
    site_per_s, site : outages of the whole site, and how long they last.
    """

    rack_nodes: int = 4
    shock_per_s: float = 0.0
    shock_nodes: int = 4
    site_per_s: float = 0.0
    site: Phases = AT_ONCE

    @property
    def per_node_s(self) -> float:
        """Rate at which shocks hit one node of a full rack."""
        return self.shock_per_s * min(self.shock_nodes, self.rack_nodes) / self.rack_nodes


@dataclass(frozen=True, slots=True)
class Elastic:
    """Elastic expert parallelism: a replica goes on without some of its attention ranks.

    Attributes
    ----------
    ranks_per_node : attention ranks of a node.
    max_failed_ranks : more lost at once, and the replica is down.
    pause_fail_s, pause_rejoin_s : no steps while experts are taken over, and while ranks return.
    overhead_frac : what every step takes longer for it, always.
    """

    ranks_per_node: int
    max_failed_ranks: int
    pause_fail_s: float
    pause_rejoin_s: float
    overhead_frac: float = 0.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """From a fault to the first request served.

    Attributes
    ----------
    detect_s, detect_hang_s : until a crash is noticed, and a hang.
    restart_s : of each replica, from a complete set of nodes.
    warm_s, warm_pace : after that, steps take `warm_pace` times as long for so many seconds.
    cold_s : what a restart takes longer after an upgrade that leaves no kernel cached.
    """

    detect_s: float
    detect_hang_s: float
    restart_s: tuple[float, ...]
    warm_s: float = 0.0
    warm_pace: float = 1.0
    cold_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """Replicas of some nodes each, spares, faults, repair, planned work.

    Attributes
    ----------
    nodes : of each replica.
    node_classes : faults of nodes; their rates hold for each node that is powered.
    replica_classes : faults of engines; their rates hold for each replica that is up.
    frailty_shape : nodes differ by a factor from a gamma law of this shape and mean 1; infinite for all alike.
    early_amplitude, early_s : a node of age t fails 1 + amplitude x exp(-t / early) times as often.
    uptime_shape : of a Weibull law of the time to a node's next fault, begun anew when it enters service; 1 for
        memoryless.
    survivors_fail : whether nodes of a replica that is down go on failing (they are powered), or rest.
    injected : (when, node, name of the class or empty for the first that leaves the pool) of faults on purpose; they do
        nothing where the node stands in no replica then. A fault of an engine meets the replica of the node.
    """

    nodes: tuple[int, ...]
    recovery: Recovery
    node_classes: tuple[FaultClass, ...] = ()
    replica_classes: tuple[FaultClass, ...] = ()
    spares: Spares = field(default_factory=Spares)
    shop: Shop = field(default_factory=Shop)
    common: Common = field(default_factory=Common)
    elastic: Elastic | None = None
    operations: tuple[Operation, ...] = ()
    frailty_shape: float = NEVER
    early_amplitude: float = 0.0
    early_s: float = 1.0
    uptime_shape: float = 1.0
    survivors_fail: bool = True
    injected: tuple[tuple[float, int, str], ...] = ()

    def __post_init__(self) -> None:
        if len(self.nodes) != len(self.recovery.restart_s):
            raise ValueError("a restart time for each replica")
        if self.uptime_shape != 1.0 and self.early_amplitude:
            raise ValueError("a Weibull law and an early-life hazard are two models of the same thing")

    @property
    def in_service(self) -> int:
        """Nodes in service when nothing has failed."""
        return sum(self.nodes)

    @property
    def active(self) -> bool:
        """Whether anything ever happens."""
        rates = [kind.rate_per_s for kind in (*self.node_classes, *self.replica_classes)]
        common = self.common.shock_per_s + self.common.site_per_s
        return bool(sum(rates) + common > 0.0 or self.injected or self.operations)
