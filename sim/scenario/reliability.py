"""Node failures, repair and restart, as a scenario states them; what it leaves open comes from the catalog."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sim.scenario.fleet import (
    CommonCauseSection,
    EarlyFaultsSection,
    ElasticSection,
    FaultClassSection,
    LemonsSection,
    PartsSection,
    Rate,
    SparesSection,
    WarmingSection,
)
from sim.scenario.section import Count, CountOrZero, Fraction, SecondsOrZero, Section

NodeClass = Literal[
    "software_crash",
    "gpu_reset",
    "node_swap",
    "gpu_rma",
    "net_link",
    "host_hw",
    "host_maint",
    "sdc",
    "thermal",
]
"""Classes of node faults."""


EngineClass = Literal["engine_crash", "fail_slow"]
"""Classes of faults of engines."""


class InjectedFault(Section):
    """One fault on purpose; without a class, a node fault: what one lost GPU takes down."""

    at_s: SecondsOrZero
    """When, in seconds since the start of the run, warm-up included."""
    node: CountOrZero = 0
    """Which node: they count replica by replica from 0, spares last."""
    class_: NodeClass | EngineClass | None = Field(None, alias="class")
    """Class of the fault (`sim catalog reliability`: `fault_...`, `engine_crash`, `fail_slow`), which does what that
    class does. Without one the node leaves at once, repaired as `repair` says. A fault of an engine meets the replica
    of the node."""


class RestartSection(Section):
    """Parts of a restart, from a complete set of nodes to the first request served; without one, the catalog's."""

    schedule_s: SecondsOrZero | None = None
    """Until the process is placed on its nodes."""
    process_init_s: SecondsOrZero | None = None
    """Process start and communicators."""
    weight_load_s: SecondsOrZero | None = None
    """Loading the weights; without it, weight bytes per node over `load_bandwidth_gb_per_s`."""
    load_bandwidth_gb_per_s: Annotated[float, Field(strict=True, gt=0.0, le=10_000.0)] | None = None
    """Rate at which one node loads weights, all its GPUs together."""
    kv_allocation_s: SecondsOrZero | None = None
    """Profiling and allocation of the cache."""
    graph_capture_s: SecondsOrZero | None = None
    """Capture of CUDA graphs."""
    kernel_compile_s: SecondsOrZero | None = None
    """Compilation of kernels that are not cached."""
    warm_up_s: SecondsOrZero | None = None
    """First requests, before traffic is let in."""


class Reliability(Section):
    """Failures and what follows.

    A node fault takes its whole replica: its requests are lost and retried by their clients, and the replica comes back
    after detection, a complete set of nodes, and a restart.
    """

    faults: bool = False
    """Whether nodes and engines fail at random, and planned work is done, during the run, as in a year of `sim annual`.
    Failures come in days and runs last hours, so most runs see none."""
    node_faults_per_1000_node_days: Annotated[float, Field(strict=True, ge=0.0, le=1e9)] | None = None
    """Rate of node faults that interrupt service, shared by the classes in proportion to their rates; without it, the
    catalog's, or the sum of the classes where `fault_classes` sets a rate."""
    fault_classes: dict[NodeClass, FaultClassSection] = Field(default_factory=dict)
    """Classes of node faults that differ from the catalog's."""
    engine_crashes_per_replica_month: Rate | None = None
    """Crashes of an engine that are no fault of a node; without it, the catalog's."""
    slow_phases_per_replica_month: Rate | None = None
    """Phases in which a replica is slow without any fault that shows; without it, the catalog's."""
    bad_repair_frac: Fraction | None = None
    """Share of repairs after which the fault soon shows again, part of the rate; without it, the catalog's."""
    equal_nodes: bool = False
    """Whether all nodes fail equally often; else by a gamma law of the catalog, whose shape depends on whether bad
    repairs are counted apart."""
    early_faults: EarlyFaultsSection | None = None
    """Infant mortality; without it, none."""
    common_cause: CommonCauseSection | None = None
    """Shocks of several nodes and outages of the site; without it, none. An empty section takes the catalog's."""
    repair: Literal["managed", "urgent", "trace"] | None = None
    """One law of repair times for all classes whose node leaves (`sim catalog reliability`): resets only, a pool with
    urgent repairs, or a real trace; without it, that of each class, and for faults injected without a class the urgent
    one."""
    repair_crews: Count | None = None
    """Repairs that go on at once; without it, as many as there are faults."""
    parts: PartsSection | None = None
    """Stock of parts; without it, the repair times of the classes are with parts, however they come."""
    requalify_s: SecondsOrZero = 0.0
    """Tests of a node after repair, where the repair times do not hold them."""
    lemons: LemonsSection | None = None
    """Replacement of nodes that fail too often; without it, none. An empty section takes the catalog's."""
    spares: SparesSection = SparesSection()
    """How `deployment.spare_nodes` stand by, and renting."""
    elastic_ep: ElasticSection | None = None
    """Elastic expert parallelism; without it, a fault takes the whole replica. An empty section takes the catalog's."""
    detect_s: SecondsOrZero | None = None
    """From a fault to the start of recovery."""
    detect_hang_s: SecondsOrZero | None = None
    """The same where the engine hangs; without it, the catalog's."""
    cold_compile_s: SecondsOrZero | None = None
    """Compilation of kernels where planned work leaves none cached, in place of `restart.kernel_compile_s`; without it,
    the catalog's."""
    warming: WarmingSection | None = None
    """Slow first requests after a restart; without it, none."""
    restart: RestartSection = RestartSection()
    """Parts of a restart that differ from the catalog's."""
    inject: tuple[InjectedFault, ...] = ()
    """Faults at given times, besides the random ones or without them."""
